"""How results are told: tables in text, and JSON under ``benchmarks/results``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frame import SUITES, Comparison, Options, Ratio

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
PROJECT_README = README.parents[1] / "README.md"
PERFORMANCE = README.parents[1] / "docs/explanation/performance.md"
#: Between these stands the table of targets.
BEGIN, END = "<!-- targets: written by every full run -->", "<!-- end of targets -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the performance page: what two subjects made of one work."""

    what: str
    beside: str
    suite: str
    work: str
    subject: str
    baseline: str


_HOT, _GRANIAN = "30 KB asset, hot on uvicorn", "2 KB asset, hot on granian"
#: The tables of the performance page: requests per second, seconds or memory, and where others are ahead.
FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "often": (
        Figure("a hot 30 KB file, uvicorn", "a bare ASGI callable", "serving", _HOT, "assetstore", "bare callable"),
        Figure("the same", "Starlette's `StaticFiles`", "serving", _HOT, "assetstore", "Starlette StaticFiles"),
        Figure("a hot 2 KB file, granian", "a bare ASGI callable", "serving", _GRANIAN, "assetstore", "bare callable"),
        Figure(
            "a 5 MB film, uvicorn",
            "Starlette's `StaticFiles`",
            "serving",
            "5 MB asset on uvicorn",
            "assetstore",
            "Starlette StaticFiles",
        ),
        Figure(
            "a 4 KB object of a bucket that nobody requested before, 16 at once",
            "a route over boto3",
            "object_storage",
            "cold, 4k, 16 at once",
            "assetstore, nothing kept",
            "FastAPI over boto3",
        ),
        Figure(
            "the same object, requested again",
            "the same file on disk",
            "object_storage",
            "hot, 4k, 16 at once",
            "assetstore",
            "assetstore on local disk",
        ),
    ),
    "little": (
        Figure(
            "start-up with 100,000 files",
            "with 100 files",
            "start_up",
            "start-up",
            "assetstore, 100,000 files",
            "assetstore, 100 files",
        ),
        Figure("`url_for` of a local file", "`os.stat`", "url_for", "one file", "assetstore, local mount", "os.stat"),
        Figure(
            "publishing 1,000 files again, nothing changed",
            "boto3's `upload_file`",
            "publish",
            "no-change run of 1,000 files of 4096 bytes",
            "assetstore, both names",
            "boto3 upload_file",
        ),
        Figure(
            "time of a first publish of 1,000 files",
            "boto3's `upload_file`, one name each",
            "publish",
            "first run of 1,000 files of 4096 bytes",
            "assetstore, both names",
            "boto3 upload_file",
        ),
    ),
    "losses": (
        Figure("requests for a hot 30 KB file", "nginx", "serving", _HOT, "assetstore", "nginx"),
        Figure(
            "`assetstore serve`, a hot 2 KB file",
            "a bare RSGI callable",
            "serving",
            "2 KB asset, the command-line server on granian",
            "assetstore serve",
            "bare RSGI callable",
        ),
        Figure(
            "10,000 files in rotation",
            "one hot file",
            "serving",
            "10,000 different 2 KB assets on uvicorn",
            "10,000 in rotation",
            "one hot asset",
        ),
        Figure(
            "memory of a process with 100 files",
            "WhiteNoise",
            "start_up",
            "resident memory at start-up",
            "assetstore, 100 files",
            "WhiteNoise, 100 files",
        ),
    ),
}
#: Whose hot 30 KB file the README compares, by its columns; ``None``: it does not run under uvicorn.
PEERS = ("Starlette StaticFiles", None, "ServeStatic", "assetstore")


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


def _put(page: Path, begin: str, text: str, end: str) -> None:
    """Put *text* into *page*, in the place of what stands between two marks."""
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def write_targets(readme: Path = README, results: Path = RESULTS) -> None:
    """Put :func:`targets` into *readme*."""
    _put(readme, BEGIN, targets(results), END)


def marks(name: str) -> tuple[str, str]:
    """Between what the table *name* of the performance page stands."""
    return f"<!-- {name}: written from benchmarks/results -->", f"<!-- end of {name} -->"


def figures(name: str, results: Path = RESULTS) -> str:
    """One table of the performance page, in Markdown: the ratio of two subjects in the last results."""
    lines = ["| | Beside | Ratio (lowest to highest) |", "|---|---|---|"]
    for each in FIGURES[name]:
        ratio = _measured(results, each.suite, each.work).ratio(each.subject, each.baseline)
        lines.append(f"| {each.what} | {each.beside} | {ratio} |")
    return "\n".join(lines)


def conditions(results: Path = RESULTS) -> str:
    """When and where the serving suite was last run, as one sentence."""
    told = json.loads((results / "serving.json").read_text("utf-8"))
    names = {"uvicorn": "uvicorn", "granian": "granian", "starlette": "Starlette", "boto3": "boto3"}
    versions = ", ".join(f"{shown} {told['versions'][name]}" for name, shown in names.items())
    return (
        f"Measured on {told['at'][:10]} in {told['rounds']} rounds, with {told['versions']['python']}, {versions}, on "
        f"{told['versions']['machine'].split(', ')[1]}."
    )


def peers(results: Path = RESULTS) -> str:
    """The row of the README's comparison that is measured."""
    measured = _measured(results, "serving", _HOT)
    cells = (f"{measured.ratio(each).median:.2f}" if each else "–" for each in PEERS)
    return f"| Hot 30 KB on uvicorn, of a bare callable | {' | '.join(cells)} |"


def write_figures() -> None:
    """Put the last results into the performance page and the README."""
    for name in FIGURES:
        begin, end = marks(name)
        _put(PERFORMANCE, begin, f"\n{figures(name)}\n", end)
    _put(PERFORMANCE, marks("conditions")[0], conditions(), marks("conditions")[1])
    text = PROJECT_README.read_text("utf-8")
    PROJECT_README.write_text(re.sub(r"^\| Hot 30 KB .*$", peers(), text, flags=re.MULTILINE), "utf-8")


def _measured(results: Path, suite: str, work: str) -> Comparison:
    """What was kept of one comparison."""
    for each in json.loads((results / f"{suite}.json").read_text("utf-8"))["comparisons"]:
        if each["work"] == work:
            samples = {name: tuple(found["samples"]) for name, found in each["subjects"].items()}
            return Comparison(work, each["unit"], samples, each["baseline"])
    raise KeyError(f"{suite}.json has no work {work!r}")


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
