"""How results are told: tables in text, and JSON under ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frame import SUITES, Comparison, Options, Ratio

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
#: Between these stands the table of targets.
BEGIN, END = "<!-- targets: written by every full run -->", "<!-- end of targets -->"


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


def targets(results: Path = RESULTS) -> str:
    """Every target and what was measured of it, as a table in Markdown; from the last results of each suite."""
    lines = ["| work | ratio of | target | measured | |", "|---|---|---|---|---|"]
    for suite in SUITES:
        path = results / f"{suite}.json"
        for comparison in json.loads(path.read_text())["comparisons"] if path.exists() else ():
            for each in comparison["targets"]:
                median, low, high = each["ratio"]
                measured, verdict = Ratio(median, low, high), "" if each["met"] else "missed"
                pair = f"{each['subject']} / {each['baseline']}"
                lines.append(f"| {comparison['work']} | {pair} | {each['target']} | {measured} | {verdict} |")
    return "\n".join(lines)


def write_targets(readme: Path = README, results: Path = RESULTS) -> None:
    """Put :func:`targets` into *readme*, in the place of the table that stands between its two marks."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{targets(results)}\n{END}{after}")


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
