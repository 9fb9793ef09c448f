"""Asking a server once for every file there is, and how much memory it has by then."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from assetstore import AssetStore
from assetstore.http.cache import PLAN_BYTES
from assetstore.settings import Settings
from benchmarks import machine, servers, subjects, tree, wrk
from benchmarks.frame import Comparison, Target

WORK = "resident memory once every file was asked for"
#: How many requests are under way at once, on one connection.
AT_ONCE = 50
#: How often every file is asked for where there are few, so that what does not depend on files is there as well.
TIMES = 20

_REFUSED = re.compile(rb"HTTP/1\.1 [^2]")

_BUDGET, _MORE = "budget of the memory", "what 100,000 files take beyond 100"


def measure(few: Path, many: Path) -> Iterator[Comparison]:
    """Memory with few files and with many; then the difference, beside what the memory may take."""
    with_few, with_many = _megabytes(few, TIMES), _megabytes(many, 1)
    kept = {"assetstore, 100 files": (with_few,), "assetstore, 100,000 files": (with_many,)}
    yield Comparison(WORK, "MB", kept, next(iter(kept)))
    budget = (Settings().ASSETS_MEMORY_BYTES + PLAN_BYTES) / 2**20
    more = {_BUDGET: (budget,), _MORE: (with_many - with_few,)}
    yield Comparison(f"{WORK}, the difference", "MB", more, _BUDGET, (Target(_MORE, _BUDGET, at_most=1.0),))


def _megabytes(root: Path, times: int) -> float:
    """What a fresh server has in memory once every file below *root* was asked for so many *times*."""
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets")
    files = [file.relative_to(root).as_posix() for file in sorted(root.rglob("*.css"))]
    paths = [assets.url_for("assets", file=file) for file in files] * times
    with tempfile.TemporaryDirectory() as scratch:
        found = subjects.subject(subjects.OURS, "uvicorn", root, Path(scratch))
        assert found is not None
        with servers.running(found.command, found.port, {"BENCHMARK_TREE": str(root)}) as pid:
            visit(found.port, paths)
            return machine.resident_bytes(pid) / 2**20


def visit(port: int, paths: Sequence[str]) -> None:
    """Ask for each of *paths* once, :data:`AT_ONCE` at a time.

    Raises:
        WrongAnswer: one of them is not there.
    """
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            connection.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode() for path in some))
            _await_answers(connection, len(some))


def _await_answers(connection: socket.socket, count: int) -> None:
    """Read until so many small answers have come, every one of them a 200 and whole."""
    received = b""
    while received.count(tree.WIDE) < count:
        more = connection.recv(1 << 20)
        if not more:
            raise wrk.WrongAnswer(f"the connection ended in the midst of {received[-500:]!r}")
        received += more
        if _REFUSED.search(received):
            raise wrk.WrongAnswer(f"a file is not there: {received[:500]!r}")
