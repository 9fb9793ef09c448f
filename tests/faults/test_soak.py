"""Faults that switch at random under load: no wrong byte, nothing leaked, memory where it began."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import threading
import time
import urllib.request
from collections.abc import Callable
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
    REFUSE,
    RESET,
    SLOW_DOWN,
    Delay,
    Drip,
    Fault,
    Garble,
    Stall,
    Truncate,
)
from servers.processes import Process, ProcessStarter
from servers.s3 import S3Bucket

CLIENTS = 6
SMALL_SIZES = (0, 1, 700, 30_000, 262_144, 262_145, 700_000)
LARGE_SIZES = (1_500_000, 3_000_000)
#: What may be answered while a bucket breaks; never 500.
STATUSES = {200, 206, 304, 404, 416, 502, 503, 504}
MIB = 1024 * 1024


class World:
    """Objects that change, and every version that each of them ever had."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._random = random.Random(1)
        self.paths = [f"{size}-{number}.bin" for size in (*SMALL_SIZES, *LARGE_SIZES) for number in range(3)]
        self.versions: dict[str, list[bytes]] = {path: [] for path in self.paths}
        for path in self.paths:
            self.change(path)

    def change(self, path: str) -> None:
        content = self._random.randbytes(int(path.split("-")[0]))
        self.versions[path] = [*self.versions[path][-20:], content]  # known before it can be served
        digest = hashlib.sha256(content).hexdigest()
        self._bucket.client.put_object(
            Bucket=self._bucket.name, Key=f"media/{path}", Body=content, Metadata={"assetstore-sha256": digest}
        )


class Client(threading.Thread):
    """Asks at random and checks every byte that it gets."""

    def __init__(self, port: int, world: World, ended: threading.Event, seed: int) -> None:
        super().__init__(name=f"client-{seed}")
        self._port = port
        self._world = world
        self._ended = ended
        self._random = random.Random(seed)
        self.wrong: list[str] = []
        self.seen: dict[int | str, int] = {}

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._ask()
            except Exception as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
                return

    def _ask(self) -> None:
        path = self._random.choice([*self._world.paths, "missing.css"])
        size = int(path.split("-")[0]) if path != "missing.css" else 0
        start = self._random.randrange(max(1, size))
        stop = min(size, start + self._random.randrange(1, 400_000))
        ranged = self._random.random() < 0.4
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            connection.request(
                "GET", f"/media/{path}", headers={"Range": f"bytes={start}-{stop - 1}"} if ranged else {}
            )
            response = connection.getresponse()
            if self._random.random() < 0.1:  # a client that leaves
                response.read(10_000)
                self._count("left")
                return
            if self._random.random() < 0.05:  # a slow one
                time.sleep(0.5)
            try:
                body, whole = response.read(), True
            except http.client.IncompleteRead as error:
                body, whole = error.partial, False
            except ConnectionResetError:
                self._count("reset")
                return
        self._count(response.status if whole else "broken off")
        self._check(path, response.status, body, whole, (start, stop) if response.status == 206 else (0, size))

    def _check(self, path: str, status: int, body: bytes, whole: bool, span: tuple[int, int]) -> None:
        if status not in STATUSES:
            self.wrong.append(f"{path}: {status}")
        elif status in {200, 206}:
            slices = [version[slice(*span)] for version in self._world.versions[path]]
            if not any(body == each if whole else each.startswith(body) for each in slices):
                self.wrong.append(f"{path}: {status} with {len(body)} bytes of no version, whole: {whole}, {span}")

    def _count(self, outcome: int | str) -> None:
        self.seen[outcome] = self.seen.get(outcome, 0) + 1


FAULTS: list[tuple[Fault, Callable[[Any], bool] | None]] = [
    *[(HEALTHY, None)] * 6,
    (REFUSE, None),
    (RESET, None),
    (Delay(0.1), None),
    (Delay(5), None),
    (Drip(piece=20_000, pause_seconds=0.02), None),
    (Truncate(after=100_000), None),
    (Stall(after=100_000, seconds=5), None),
    # A checksum stands for a whole object; of a part of a large one nothing tells that it is wrong.
    (Garble(at=100), lambda seen: "Range" not in seen.headers and is_small(seen.path)),
    (BROKEN, None),
    (SLOW_DOWN, None),
    (FORBIDDEN, None),
    (EXPIRED_TOKEN, None),
]


def is_small(path: str) -> bool:
    return int(path.rpartition("/")[2].partition("-")[0] or 0) in SMALL_SIZES if "-" in path else False


def soak(process: Process, proxy: FaultProxy, world: World, seconds: float, seed: int) -> list[Client]:
    """Load for so many seconds while faults switch and objects change; ends healthy and quiet."""
    ended = threading.Event()
    clients = [Client(process.port, world, ended, seed * 100 + number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    lots = random.Random(seed)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fault, when = lots.choice(FAULTS)
        proxy.use(fault, when=when)
        for _ in range(lots.randrange(4)):
            world.change(lots.choice(world.paths))
        time.sleep(lots.uniform(0.05, 0.5))
    proxy.heal()
    ended.set()
    for client in clients:
        client.join(timeout=60)
        assert not client.is_alive(), f"{client.name} hangs"
    return clients


def quiet(process: Process, proxy: FaultProxy) -> dict[str, Any]:
    """What the process holds when nothing is under way; half a minute to come to rest."""
    proxy.cut()  # pooled connections are no leak
    facts: dict[str, Any] = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.5)
        with urllib.request.urlopen(f"{process.url}/inside", timeout=10) as answer:
            facts = json.load(answer)
        seen = psutil.Process(process.pid)
        facts |= {"descriptors": seen.num_fds(), "threads": seen.num_threads(), "memory": seen.memory_info().rss}
        if facts["streams"] == 0 and facts["tasks"] <= 12:
            break
    return facts


def is_healed(process: Process, world: World) -> bool:
    """Whether every object is served as it is now."""
    for path in world.paths:
        with urllib.request.urlopen(f"{process.url}/media/{path}", timeout=10) as answer:
            if answer.read() != world.versions[path][-1]:
                return False
    return True


@pytest.fixture(params=["memory", "disk"])
def soaked(
    request: pytest.FixtureRequest,
    moto_bucket: S3Bucket,
    fault_proxy: Callable[[str], FaultProxy],
    start_process: ProcessStarter,
    tmp_path: Path,
) -> tuple[Process, FaultProxy, World]:
    proxy = fault_proxy(moto_bucket.server.endpoint_url)
    world = World(moto_bucket)
    options = {**moto_bucket.server.options, "endpoint_url": proxy.url}
    env = {"SOAK_ROOT": f"{moto_bucket.url}/media", "SOAK_OPTIONS": json.dumps(options)}
    if request.param == "disk":
        env["SOAK_DISK"] = str(tmp_path)
    process = start_process.asgi("asgi.soaked:app", folder=Path(__file__).parents[1] / "support", env=env)
    return process, proxy, world


@pytest.mark.soak
def test_faults_that_switch_at_random(soaked: tuple[Process, FaultProxy, World], soak_seconds: float) -> None:
    process, proxy, world = soaked
    soak(process, proxy, world, soak_seconds / 3, seed=1)
    before = quiet(process, proxy)
    clients = soak(process, proxy, world, soak_seconds * 2 / 3, seed=2)
    after = quiet(process, proxy)

    assert [each for client in clients for each in client.wrong] == []
    seen: dict[Any, int] = {}
    for client in clients:
        for outcome, times in client.seen.items():
            seen[outcome] = seen.get(outcome, 0) + times
    print(f"\n{seen}\nbefore {before}\nafter  {after}")
    assert sum(seen.values()) > 20
    deadline = time.monotonic() + 30
    while not is_healed(process, world):
        assert time.monotonic() < deadline, "old bytes are served long after the bucket is healthy"
        time.sleep(0.5)
    assert after["streams"] == 0
    assert after["tasks"] <= before["tasks"] + 3
    assert after["descriptors"] <= before["descriptors"] + 3
    assert after["threads"] <= before["threads"] + 8
    assert after["memory"] <= before["memory"] + 24 * MIB
    assert "Task exception was never retrieved" not in process.output
    assert "Unclosed" not in process.output
