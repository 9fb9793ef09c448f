"""The chart of the README: who serves how many requests per second, as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: What the chart shows: one panel per comparison of the suite ``serving``.
PANELS = (
    "30 KB asset, hot on uvicorn",
    "30 KB asset, hot on granian",
    "5 MB asset on uvicorn",
    "5 MB asset on granian",
)


def draw(results: Path) -> Path | str:
    """Draw what the last full run of ``serving`` measured; where, or why not."""
    measured = results / "serving.json"
    if not measured.exists():
        return "none; the suite `serving` has not been run"
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "none; pip install 'assetstore[bench]' brings matplotlib"
    comparisons = {each["work"]: each for each in json.loads(measured.read_text())["comparisons"]}
    panels = [comparisons[work] for work in PANELS if work in comparisons]
    figure = Figure(figsize=(11, 1.2 + 2.6 * ((len(panels) + 1) // 2)), layout="constrained")
    for place, comparison in enumerate(panels, 1):
        _panel(figure.add_subplot((len(panels) + 1) // 2, 2, place), comparison)
    path = results / "serving.png"
    figure.savefig(path, dpi=110)
    return path


def _panel(axes: Any, comparison: dict[str, Any]) -> None:
    ranked = sorted(comparison["subjects"].items(), key=lambda item: item[1]["median"])
    names = [name for name, _ in ranked]
    values = [subject["median"] for _, subject in ranked]
    colours = ["#2563eb" if name.startswith("assetstore") else "#9ca3af" for name in names]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, [f" {value:,.0f}" for value in values], fontsize=8)
    axes.set_title(f"{comparison['work']} ({comparison['unit']})", loc="left", fontsize=10)
    axes.set_xlim(0, max(values) * 1.18)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
