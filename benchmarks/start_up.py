"""The suite that asks what many files cost: before the first request, and once all were asked for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import tree, visitors
from benchmarks.frame import Comparison, Options, Target, interleaved

TITLE = "start-up and resident memory, with 100 files and with 100,000"
FEW, MANY = 100, 100_000
OURS = "assetstore, {:,} files"
#: The slowest takes seconds; more rounds than this say nothing more.
ROUNDS = 3

_REPORT = "import psutil; print((time.process_time() - began) * 1e3, psutil.Process().memory_info().rss / 2**20)"
#: Each program wires an application over ``root`` and has it name or answer one file.
_PROGRAMS = {
    "assetstore": """
from assetstore import AssetStore
AssetStore().wrap(None)  # which imports what serves: imports are in no other's time either
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
#: What is imported in a fresh process, by what the table calls it.
STARLETTE = "Starlette's applications and staticfiles"
_IMPORTS = {
    STARLETTE: "import starlette.applications, starlette.staticfiles",
    "import assetstore": "import assetstore",
    "assetstore.AssetStore": "from assetstore import AssetStore",
    "assetstore with its routes": "from assetstore import AssetStore; store = AssetStore(); store.static(root='.'); store.routes",
}


def measure(options: Options) -> Iterator[Comparison]:
    """How long a core is busy from wiring to the first name, the memory of the process by then, and under requests."""
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch:
        roots = {count: Path(scratch) / str(count) for count in (FEW, MANY)}
        if options.match in "import":
            yield _imported(options.rounds)
        for count, root in roots.items():
            tree.make_wide(root, count)
        if options.match in "start-up, resident memory at start-up":
            yield from _started(roots, min(options.rounds, ROUNDS))
        if options.match in visitors.WORK:
            yield from visitors.measure(roots[FEW], roots[MANY])


def _imported(rounds: int) -> Comparison:
    """What imports cost in CPU time, beside those of the framework that StaticFiles needs."""
    measures = {name: partial(_import, code) for name, code in _IMPORTS.items()}
    target = Target("import assetstore", STARLETTE, at_most=1.0)
    return Comparison("import", "ms", interleaved(measures, rounds), STARLETTE, (target,))


def _import(code: str) -> float:
    """Milliseconds of CPU time of a fresh process that runs *code*."""
    program = f"{code}\nimport time; print(time.process_time() * 1e3)"
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def _started(roots: dict[int, Path], rounds: int) -> Iterator[Comparison]:
    megabytes: dict[str, list[float]] = {}
    measures = {}
    for name, program in _PROGRAMS.items():
        for count, root in roots.items():
            subject = f"{name}, {count:,} files"
            measures[subject] = partial(_run, program, root, megabytes.setdefault(subject, []))
    few, many = OURS.format(FEW), OURS.format(MANY)
    milliseconds = interleaved(measures, rounds)
    yield Comparison("start-up", "ms", milliseconds, few, (Target(many, few, at_most=1.5),))
    kept = {subject: tuple(values) for subject, values in megabytes.items()}
    yield Comparison("resident memory at start-up", "MB", kept, few, (Target(many, few, at_most=1.1),))


def _run(program: str, root: Path, megabytes: list[float]) -> float:
    """Milliseconds of a fresh process; how many *megabytes* it had is added to these."""
    first = next(root.rglob("*.css")).relative_to(root).as_posix()
    begin = f"import time; root, file = {str(root)!r}, {first!r}"
    command = [sys.executable, "-c", f"{begin}\n{program}\n{_REPORT}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    megabytes.append(float(told[1]))
    return float(told[0])
