"""This module owns how results are told: tables in text, and JSON under ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frame import Comparison, Options

RESULTS = Path(__file__).parent / "results"


def table(comparison: Comparison) -> str:
    """One comparison as lines of text: subject, value, ratio with its spread, and the targets."""
    width = max(map(len, comparison.samples))
    lines = [f"{comparison.work}   [{comparison.unit}; ratio to {comparison.baseline}: median (low to high)]"]
    for subject in comparison.samples:
        value = comparison.typical(subject)
        lines.append(f"  {subject:<{width}}  {value:>10,.{0 if value >= 100 else 2}f}   {comparison.ratio(subject)}")
    for target in comparison.targets:
        ratio = comparison.ratio(target.subject, target.baseline)
        verdict = "met" if target.met_by(ratio) else "MISSED"
        lines.append(f"  {verdict}: {target.subject} / {target.baseline} = {ratio}; target {target}")
    return "\n".join(lines)


def save(suite: str, title: str, comparisons: Iterable[Comparison], options: Options, told: Mapping[str, str]) -> Path:
    """Write one suite's results as JSON and return where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{suite}.json"
    written = {
        "suite": suite,
        "title": title,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": dict(told),
        "comparisons": [_as_json(each) for each in comparisons],
    }
    path.write_text(json.dumps(written, indent=1) + "\n")
    return path


def _as_json(comparison: Comparison) -> dict[str, Any]:
    subjects = {
        subject: {
            "median": round(comparison.typical(subject), 3),
            "ratio": _rounded(comparison, subject, comparison.baseline),
            "samples": [round(value, 3) for value in values],
        }
        for subject, values in comparison.samples.items()
    }
    targets = [
        {
            "subject": target.subject,
            "baseline": target.baseline,
            "target": str(target),
            "ratio": _rounded(comparison, target.subject, target.baseline),
            "met": target.met_by(comparison.ratio(target.subject, target.baseline)),
        }
        for target in comparison.targets
    ]
    return {
        "work": comparison.work,
        "unit": comparison.unit,
        "baseline": comparison.baseline,
        "subjects": subjects,
        "targets": targets,
    }


def _rounded(comparison: Comparison, subject: str, baseline: str) -> list[float]:
    ratio = comparison.ratio(subject, baseline)
    return [round(ratio.median, 3), round(ratio.low, 3), round(ratio.high, 3)]
