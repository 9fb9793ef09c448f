"""This module owns the suite that asks what many files cost before the first request: time and memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import tree
from benchmarks.frame import Comparison, Options, Target, interleaved

TITLE = "start-up and resident memory, with 100 files and with 100,000"
FEW, MANY = 100, 100_000
OURS = "assetstore, {:,} files"

_REPORT = "import psutil; print((time.process_time() - began) * 1e3, psutil.Process().memory_info().rss / 2**20)"
#: Each program wires an application over ``root`` and has it name or answer one file.
_PROGRAMS = {
    "assetstore": """
from assetstore import AssetStore
began = time.process_time()
store = AssetStore()
store.static("/assets/", root=root, name="assets")
app = store.wrap(None)
assert len(store.url_for("assets", file=file)) > 64
""",
    "ServeStatic": """
from servestatic import ServeStaticASGI
began = time.process_time()
app = ServeStaticASGI(None, root=root, prefix="/assets/")
assert "/assets/" + file in app.files
""",
    "WhiteNoise": """
from whitenoise import WhiteNoise
began = time.process_time()
app = WhiteNoise(None, root=root, prefix="/assets/")
assert "/assets/" + file in app.files
""",
}


def measure(options: Options) -> Iterator[Comparison]:
    """How long a core is busy from wiring to the first name; then the memory that the process has by then."""
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch:
        roots = {count: Path(scratch) / str(count) for count in (FEW, MANY)}
        for count, root in roots.items():
            tree.make_wide(root, count)
        subjects = {
            f"{name}, {count:,} files": partial(_run, program, root)
            for name, program in _PROGRAMS.items()
            for count, root in roots.items()
        }
        few, many = OURS.format(FEW), OURS.format(MANY)
        for work, unit, at_most in (("start-up", "ms", 1.5), ("resident memory", "MB", 1.1)):
            if options.match in work:
                measures = {name: partial(_part, run, unit) for name, run in subjects.items()}
                samples = interleaved(measures, min(options.rounds, 3))
                yield Comparison(work, unit, samples, few, (Target(many, few, at_most=at_most),))


def _part(run: Callable[[], tuple[float, float]], unit: str) -> float:
    milliseconds, megabytes = run()
    return milliseconds if unit == "ms" else megabytes


def _run(program: str, root: Path) -> tuple[float, float]:
    """Milliseconds and megabytes: the median of three fresh processes."""
    first = next(root.rglob("*.css")).relative_to(root).as_posix()
    begin = f"import time; root, file = {str(root)!r}, {first!r}"
    told = [
        subprocess.run(
            [sys.executable, "-c", f"{begin}\n{program}\n{_REPORT}"], capture_output=True, text=True, check=True
        )
        for _ in range(3)
    ]
    pairs = [tuple(map(float, each.stdout.split())) for each in told]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
