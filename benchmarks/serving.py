"""The suite that compares requests per second: assetstore, its peers and the bare server."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from assetstore import AssetStore
from benchmarks import servers, tree, wrk
from benchmarks.contests import Contest, contests
from benchmarks.frame import Comparison, Options, interleaved
from benchmarks.subjects import Subject, subject
from benchmarks.works import WORKS, Work

TITLE = "requests per second over a socket, one core for the server and one for wrk"


def measure(options: Options) -> Iterator[Comparison]:
    """Every contest on uvicorn, then every contest on granian."""
    if not wrk.available():
        print("skipped: wrk is not installed; on Debian and Ubuntu: apt-get install wrk", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch:
        Path(scratch).chmod(0o755)  # nginx may work as another user
        root = Path(scratch) / "tree"
        tree.make(root)
        for server in ("uvicorn", "granian"):
            with ExitStack() as stack:
                bench = Bench(server, root, Path(scratch), stack)
                for contest in contests(server):
                    if options.match in f"{contest.title} on {server}":
                        yield bench.hold(contest, options)


class Bench:
    """The servers of one run; each is started when it is first needed, and stays up."""

    def __init__(self, server: str, root: Path, scratch: Path, stack: ExitStack) -> None:
        self._server = server
        self._root = root
        self._scratch = scratch
        self._stack = stack
        self._pids: dict[str, int] = {}
        self._started: dict[str, Subject | None] = {}
        self._assets = AssetStore()
        self._assets.static("/assets/", root=root, name="assets")
        self._rotated = [self._assets.url_for("assets", file=tree.many(number)) for number in range(tree.MANY)]

    def hold(self, contest: Contest, options: Options) -> Comparison:
        """Check what every subject answers, then measure them in turn.

        Raises:
            WrongAnswer: a subject does not do the work.
        """
        measures: dict[str, Callable[[], float]] = {}
        seconds = max(options.seconds, contest.seconds)
        for label, (name, work) in contest.entries.items():
            running = self._running(name)
            if running is not None:
                request = self._request(running, WORKS[work])
                measures[label] = partial(wrk.rate, request, seconds)
                if options.cpu:
                    measures[label] = partial(wrk.rate_of_cpu, request, seconds, self._pids[name])
        samples = interleaved(measures, options.rounds)
        targets = tuple(each for each in contest.targets if {each.subject, each.baseline} <= set(measures))
        unit = "requests/CPU second" if options.cpu else "requests/s"
        return Comparison(f"{contest.title} on {self._server}", unit, samples, contest.baseline, targets)

    def _running(self, name: str) -> Subject | None:
        if name not in self._started:
            found = subject(name, self._server, self._root, self._scratch)
            if found is not None:
                environment = {"BENCHMARK_TREE": str(self._root), **found.environment}
                self._pids[name] = self._stack.enter_context(servers.running(found.command, found.port, environment))
            self._started[name] = found
        return self._started[name]

    def _request(self, running: Subject, work: Work) -> wrk.Request:
        """What to ask *running* for at *work*, once its answer was found right."""
        path = running.path(work, work.url(self._assets))
        request = wrk.Request(running.port, path, dict(work.headers), work.status, self._digest(work))
        if work.revalidates:
            _, headers, _ = wrk.ask(wrk.Request(running.port, path))  # the bare callable says what it said for us
            request = wrk.Request(running.port, path, {"If-None-Match": headers["etag"]}, work.status)
        if work.rotates:
            urls = [running.path(replace(work, file=tree.many(n)), url) for n, url in enumerate(self._rotated)]
            request = replace(request, rotation=self._rotation(work, urls))
            if work.name == "many":
                wrk.visit(running.port, urls)
        if work.name == "film":
            request = replace(request, length=(self._root / work.file).stat().st_size)
        wrk.check(request)
        return request

    def _digest(self, work: Work) -> str | None:
        if work.status not in {200, 206}:
            return None
        suffix = tree.CODINGS[work.headers["Accept-Encoding"]] if work.file == tree.CODED else ""
        content = (self._root / (work.file + suffix)).read_bytes()
        return hashlib.sha256(content[:1024] if work.status == 206 else content).hexdigest()

    def _rotation(self, work: Work, urls: list[str]) -> str:
        script = self._scratch / f"{work.name}-{hashlib.sha256(urls[0].encode()).hexdigest()[:8]}.lua"
        script.write_text(wrk.rotation_script(urls))
        return str(script)
