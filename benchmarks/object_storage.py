"""The suite that compares ways of serving from a bucket: cold, hot, and with slow readers."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bucket, names, servers, slow, wrk
from benchmarks.frame import Comparison, Options, Target, interleaved

TITLE = "a bucket behind uvicorn, one core for the server, one for wrk and the bucket"

OURS, OURS_COLD, OURS_LOCAL = "assetstore", "assetstore, nothing kept", "assetstore on local disk"
BOTO3, S3FS, LITESTAR = "FastAPI over boto3", "FastAPI over s3fs", "Litestar over s3fs"
APPLICATIONS = {
    OURS: "bucket_ours:hot",
    f"{OURS_COLD}, 4k": "bucket_ours:cold_4k",
    f"{OURS_COLD}, 1m": "bucket_ours:cold_1m",
    OURS_LOCAL: "bucket_ours:local",
    BOTO3: "bucket_boto3:app",
    S3FS: "bucket_s3fs:app",
    LITESTAR: "bucket_litestar:app",
}
AT_ONCE = (1, 16, 64)
#: The works that are no race.
REQUESTS, MEMORY = "requests to the bucket per request", "memory for 50 slow readers of 50 MB"
#: There are many subjects and widths; more rounds than this would take all day.
ROUNDS = 3
#: For how long slow readers are borne.
SLOW_SECONDS = 4.0
#: Less memory than this says nothing: what a process has freed before, it need not ask the system for again.
LEAST_MIB = 1.0
#: Client requests over which the bucket's own are counted.
COUNTED = 20


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up."""

    process: int
    port: int


def measure(options: Options) -> Iterator[Comparison]:
    """Cold and hot at several widths, requests to the bucket, memory under slow readers, names."""
    if not (wrk.available() and bucket.available()):
        print("skipped: needs wrk and nginx; on Debian and Ubuntu: apt-get install wrk nginx-light", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch, ExitStack() as stack:
        Path(scratch).chmod(0o755)  # nginx may work as another user
        root = Path(scratch) / "buckets"
        bucket.make(root)
        bench = _Bench(root, Path(scratch), stack)
        yield from (each for each in bench.comparisons(options) if options.match in each.work)
    yield from (each for each in names.measure(options) if options.match in each.work)


class _Bench:
    def __init__(self, root: Path, scratch: Path, stack: ExitStack) -> None:
        self._root = root
        self._scratch = scratch
        self._stack = stack
        self._log = scratch / "requests.log"
        self._endpoint = stack.enter_context(bucket.serving(root, scratch / "fast"))
        self._counting = stack.enter_context(bucket.serving(root, scratch / "counting", self._log))
        self._started: dict[tuple[str, str], Running | None] = {}

    def comparisons(self, options: Options) -> Iterator[Comparison]:
        for size in ("4k", "1m"):
            for at_once in AT_ONCE:
                cold = [OURS_COLD, BOTO3, S3FS, LITESTAR]
                faster = (Target(OURS_COLD, BOTO3, at_least=5.0),) if at_once == 16 and size == "4k" else ()
                yield from self._race(f"cold, {size}, {at_once} at once", size, at_once, cold, BOTO3, options, faster)
                equal = (Target(OURS, OURS_LOCAL, at_least=0.9),)
                yield from self._race(
                    f"hot, {size}, {at_once} at once", size, at_once, [OURS, OURS_LOCAL], OURS_LOCAL, options, equal
                )
        if options.match in REQUESTS:
            yield self._requests()
        if options.match in MEMORY:
            yield self._memory()

    def _race(
        self,
        work: str,
        size: str,
        at_once: int,
        subjects: list[str],
        baseline: str,
        options: Options,
        targets: tuple[Target, ...],
    ) -> Iterator[Comparison]:
        """Requests per second, and what 99 of 100 took, of *subjects* at one kind of work."""
        titles = work, f"{work}, p99"
        if not any(options.match in title for title in titles):
            return
        slowest: dict[str, list[float]] = {}
        measures: dict[str, Callable[[], float]] = {}
        for name in subjects:
            request = self._request(name, size, rotate=work.startswith("cold"))
            if request is not None:
                measures[name] = _paced(request, options.seconds, at_once, slowest.setdefault(name, []))
        samples = interleaved(measures, min(options.rounds, ROUNDS))
        yield Comparison(titles[0], "requests/s", samples, baseline, targets)
        yield Comparison(titles[1], "ms", {name: tuple(slowest[name]) for name in samples}, baseline)

    def _request(self, name: str, size: str, *, rotate: bool) -> wrk.Request | None:
        application = f"{name}, {size}" if name == OURS_COLD else name
        running = self._running(application, self._endpoint)
        if running is None:
            return None
        request = wrk.Request(running.port, f"/assets/{bucket.key(size, 0)}")
        try:
            wrk.check(request)
        except wrk.WrongAnswer as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
            return None
        script = self._scratch / f"{size}.lua"
        count = bucket.OBJECTS[size][1]
        script.write_text(wrk.rotation_script([f"/assets/{bucket.key(size, number)}" for number in range(count)]))
        return wrk.Request(running.port, request.path, rotation=str(script)) if rotate else request

    def _requests(self) -> Comparison:
        """Requests to the bucket for each request of a client: for new keys, and for one key again."""
        samples: dict[str, tuple[float, ...]] = {}
        for name in (OURS, BOTO3, S3FS, LITESTAR):
            running = self._running(name, self._counting)
            if running is not None:
                new = [f"/assets/{bucket.key('4k', number)}" for number in range(1, COUNTED + 1)]
                samples[f"{name}, new keys"] = (self._count(running, new),)
                samples[f"{name}, one key again"] = (self._count(running, new[:1] * COUNTED),)
        return Comparison(REQUESTS, "requests", samples, f"{BOTO3}, new keys")

    def _count(self, running: Running, paths: list[str]) -> float:
        before = len(self._log.read_text().splitlines())
        for path in paths:
            wrk.ask(wrk.Request(running.port, path))
        return (len(self._log.read_text().splitlines()) - before) / len(paths)

    def _memory(self) -> Comparison:
        samples: dict[str, tuple[float, ...]] = {}
        for name in (OURS, BOTO3):
            running = self._running(name, self._endpoint)
            if running is not None:
                path = f"/assets/{bucket.key('50m', 0)}"
                taken = slow.memory_for_slow_readers(running.process, running.port, path, SLOW_SECONDS)
                samples[name] = (max(taken, LEAST_MIB),)
        return Comparison(MEMORY, "MiB", samples, BOTO3)

    def _running(self, name: str, endpoint: str) -> Running | None:
        if (name, endpoint) not in self._started:
            port = servers.free_port()
            environment = {"BENCHMARK_S3": endpoint, "BENCHMARK_TREE": str(self._root)}
            command = servers.uvicorn(f"benchmarks.apps.{APPLICATIONS[name]}", port)
            try:
                process = self._stack.enter_context(servers.running(command, port, environment))
                self._started[name, endpoint] = Running(process, port)
            except RuntimeError as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
                self._started[name, endpoint] = None
        return self._started[name, endpoint]


def _paced(request: wrk.Request, seconds: float, at_once: int, slowest: list[float]) -> Callable[[], float]:
    def measured() -> float:
        pace = wrk.pace(request, seconds, at_once)
        slowest.append(pace.p99_ms)
        return pace.rate

    return measured
