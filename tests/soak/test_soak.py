"""A server under a mix of everything that clients, storage and people do at once.

Clients read, leave, trickle and flood; storage fails in each of twenty ways; files are saved, switched, cut off and
deleted; links are swapped; names are read anew. At the end nothing is left of it: no wrong byte, no byte from outside of the
root, no traceback; memory, descriptors, threads and tasks as before; and no stall of the loop that is longer than
Starlette's under the same clients.
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from servers.fault_proxy import FaultProxy
from servers.faults import (
    BROKEN,
    EXPIRED_TOKEN,
    FORBIDDEN,
    HEALTHY,
    LONG_KEY,
    NO_BUCKET,
    PAGE,
    PAGE_WITH_ETAG,
    REFUSE,
    RESET,
    SLOW_DOWN,
    WRONG_SECRET,
    Delay,
    Drip,
    ErrorAnswer,
    Fault,
    Garble,
    Redirect,
    Stall,
    Truncate,
    WrongLength,
)
from servers.processes import Process, ProcessStarter
from servers.s3 import S3Bucket
from soak.clients import Findings, end, start
from soak.world import SMALL_SIZES, BucketWorld, DiskWorld, World, size_of

pytestmark = pytest.mark.soak

MIB = 1024 * 1024
#: What a longest stall is allowed where Starlette's is shorter, in seconds: 20 ms on a machine with nothing else to
#: do. A short soak is run among other tests, and counts what the processor did for its process alone.
STALL_SECONDS, SHORT_STALL_SECONDS = 0.02, 0.1
#: How many connections to storage may be kept for later.
POOLED = 12
#: A soak that lasts so long is a full one.
FULL_SECONDS = 60.0

#: Twenty ways to fail, and being healthy in between.
FAULTS: list[tuple[Fault, Callable[[Any], bool] | None]] = [
    *[(HEALTHY, None)] * 8,
    (REFUSE, None),
    (RESET, None),
    (Delay(0.1), None),
    (Delay(5), None),
    (Drip(piece=20_000, pause_seconds=0.02), None),
    (Truncate(after=100_000), None),
    (Stall(after=100_000, seconds=5), None),
    # A checksum stands for a whole object; of a part of a large one nothing tells that it is wrong.
    (Garble(at=100), lambda seen: "Range" not in seen.headers and is_small(seen.path)),
    (WrongLength(1), None),
    (BROKEN, None),
    (SLOW_DOWN, None),
    (ErrorAnswer(429, "TooManyRequests"), None),
    (FORBIDDEN, None),
    (EXPIRED_TOKEN, None),
    (WRONG_SECRET, None),
    (NO_BUCKET, None),
    (LONG_KEY, None),
    (Redirect(), None),
    (PAGE, None),
    (PAGE_WITH_ETAG, None),
]


def is_small(path: str) -> bool:
    return path.endswith(".bin") and size_of(path) in SMALL_SIZES


@dataclass(frozen=True, slots=True)
class Soaked:
    """A server over a world that changes, whose storage can break."""

    process: Process
    world: World
    proxy: FaultProxy | None = None

    def soak(self, seconds: float, findings: Findings, seed: int) -> None:
        """Load for so many seconds while faults switch and files change; ends healthy and quiet."""
        clients = start(self.process.port, self.world, findings, seed)
        lots = random.Random(seed)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.proxy is not None:
                fault, when = lots.choice(FAULTS)
                self.proxy.use(fault, when=when)
            for _ in range(lots.randrange(4)):
                self.world.change()
            if lots.random() < 0.2:
                findings.count(self._get("/refresh").decode())
            time.sleep(lots.uniform(0.05, 0.5))
        if self.proxy is not None:
            self.proxy.heal()
        end(clients)

    def inside(self) -> dict[str, Any]:
        """What the process tells of itself, and what the system tells of it and those below it."""
        held: dict[str, Any] = json.loads(self._get("/inside"))
        family = [(parent := psutil.Process(self.process.pid)), *parent.children(recursive=True)]
        held["descriptors"] = sum(each.num_fds() for each in family)
        held["threads"] = sum(each.num_threads() for each in family)
        held["memory"] = sum(each.memory_info().rss for each in family)
        return held

    def at_rest(self) -> dict[str, Any]:
        """The same once nothing is under way; half a minute to come to rest."""
        if self.proxy is not None:
            self.proxy.cut()  # pooled connections are no leak
        stall = self.inside()
        deadline = time.monotonic() + 30
        while True:
            time.sleep(0.5)
            held = self.inside()
            if (held["streams"] == 0 and held["tasks"] <= 12) or time.monotonic() > deadline:
                return held | {"longest": stall["longest"], "busy": stall["busy"]}

    def is_healed(self) -> bool:
        """Whether every file is served as it is now."""
        return all(self._is_current(path) for path in self.world.paths)

    def _is_current(self, path: str) -> bool:
        try:
            return self.world.is_current(path, self._get(f"/media/{path}"))
        except urllib.error.HTTPError as error:
            return error.code == 404 and self.world.is_current(path, b"")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.process.url}{path}", timeout=20) as answer:
            body: bytes = answer.read()
            return body


#: How each server is started, and which attribute of the application it runs.
SERVERS = {
    "uvicorn": ("uvicorn", "app"),
    "granian": ("granian", "app"),
    "granian RSGI": ("granian", "rsgi"),
    "hypercorn": ("hypercorn", "app"),
}
STORAGES = ("disk", "S3", "S3 with a disk cache")
#: What a short soak runs: every server and every storage once.
SHORT = [
    ("uvicorn", "disk"),
    ("granian", "S3 with a disk cache"),
    ("granian RSGI", "disk"),
    ("hypercorn", "S3"),
]
IS_FULL = float(os.environ.get("SOAK_SECONDS", "0")) >= FULL_SECONDS
COMBINATIONS = [(server, storage) for server in SERVERS for storage in STORAGES] if IS_FULL else SHORT


@pytest.fixture(params=[pytest.param(each, id=f"{each[0]} over {each[1]}") for each in COMBINATIONS])
def combination(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A server and a storage."""
    chosen: tuple[str, str] = request.param
    return chosen


@pytest.fixture
def start_server(combination: tuple[str, str], start_process: ProcessStarter) -> Callable[..., Process]:
    """Starts the application of the soak on the server."""
    server, name = SERVERS[combination[0]]

    def start_one(subject: str = "assetstore", **env: str) -> Process:
        given = {f"SOAK_{key.upper()}": value for key, value in {"subject": subject, **env}.items()}
        attribute = "app" if subject == "starlette" else name
        args = ["--interface", "rsgi"] if attribute == "rsgi" else []
        folder = Path(__file__).parents[1] / "support"
        return start_process.asgi(f"asgi.soaked:{attribute}", server=server, folder=folder, args=args, env=given)

    return start_one


@pytest.fixture
def soaked(
    combination: tuple[str, str],
    request: pytest.FixtureRequest,
    start_server: Callable[..., Process],
    tmp_path: Path,
) -> Soaked:
    """The server over the storage."""
    storage = combination[1]
    if storage == "disk":
        world = DiskWorld(tmp_path)
        return Soaked(start_server(root=str(world.root)), world)
    bucket: S3Bucket = request.getfixturevalue("moto_bucket")
    proxy = request.getfixturevalue("fault_proxy")(bucket.server.endpoint_url)
    options = json.dumps({**bucket.server.options, "endpoint_url": proxy.url})
    env = {"disk": str(tmp_path)} if storage != "S3" else {}
    return Soaked(start_server(root=f"{bucket.url}/media", options=options, **env), BucketWorld(bucket), proxy)


@pytest.fixture
def starlette_stall(start_server: Callable[..., Process], tmp_path: Path, soak_seconds: float) -> Callable[[], float]:
    """The longest stall of Starlette's ``StaticFiles`` on the same server under the same clients, on disk."""

    def measure() -> float:
        world = DiskWorld(tmp_path / "starlette")
        peer = Soaked(start_server("starlette", root=str(world.root)), world)
        peer.inside()
        peer.soak(min(soak_seconds / 2, 30.0), Findings(), seed=3)
        stall: float = peer.inside()["busy"]
        peer.process.stop()
        return stall

    return measure


def test_nothing_is_left_of_it(soaked: Soaked, starlette_stall: Callable[[], float], soak_seconds: float) -> None:
    findings = Findings()
    soaked.soak(soak_seconds / 3, findings, seed=1)
    before = soaked.at_rest()
    soaked.soak(soak_seconds * 2 / 3, findings, seed=2)
    after = soaked.at_rest()
    output = soaked.process.output
    print(f"\n{dict(findings.seen)}\nbefore {before}\nafter  {after}\nlog: {len(output.splitlines())} lines")

    assert findings.wrong == []
    assert sum(findings.seen.values()) > 20
    deadline = time.monotonic() + 30
    while not soaked.is_healed():
        assert time.monotonic() < deadline, "old bytes are served long after everything is healthy"
        time.sleep(0.5)
    assert after["streams"] == 0
    assert after["tasks"] <= before["tasks"] + 3
    assert after["descriptors"] <= before["descriptors"] + POOLED
    assert after["threads"] <= before["threads"] + 8
    assert after["memory"] <= before["memory"] + 24 * MIB
    assert_quiet(output, soak_seconds)
    allowed = STALL_SECONDS if soak_seconds >= FULL_SECONDS else SHORT_STALL_SECONDS
    if after["busy"] > allowed:  # what a process needs to come up, boto3's models above all, is in the first part
        assert after["busy"] <= max(allowed, starlette_stall())


def assert_quiet(output: str, seconds: float) -> None:
    """No traceback but that of a body which broke off, by which a server is made to close the connection."""
    for words in ("never retrieved", "Unclosed", "socket.send() raised", "Exception ignored"):
        assert words not in output
    lines = Counter(line[:60] for line in output.splitlines())
    assert len(output.splitlines()) < 2_000 + 20 * seconds, lines.most_common(20)
