"""The suite that asks whether anybody waits while large files are hashed."""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.frame import Comparison, Options, interleaved

TITLE = "10 GB that have not been hashed, requested by 50 clients"
#: How many large files there are, and how large each is: together 10 GB, which take no space on disk.
FILES, FILE_BYTES = 5, 2_000_000_000
CLIENTS = 50
#: How long the clients make requests in one round at least, in seconds: about as long as hashing takes.
LEAST_SECONDS = 15.0
#: How much of a GET a client reads before it leaves.
READ_BYTES = 256 * 1024
#: A small file, by the rate of which others notice.
SMALL, SMALL_BYTES = "small.css", 2_000

OURS, BASELINE = "assetstore, hashing", "assetstore, without fingerprints"
ROUNDS = 3


def measure(options: Options) -> Iterator[Comparison]:
    """The longest stall of the event loop, and the rate of a small file meanwhile."""
    stalls: dict[str, list[float]] = {OURS: [], BASELINE: []}
    measured = "worked" if options.cpu else "passed"
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch:
        root = Path(scratch)
        for number in range(FILES):
            with (root / f"film{number}.bin").open("wb") as file:
                file.truncate(FILE_BYTES)
        (root / SMALL).write_bytes(b"a" * SMALL_BYTES)
        seconds = max(LEAST_SECONDS, options.seconds)
        measures: dict[str, Callable[[], float]] = {
            OURS: partial(_round, root, "1", seconds, measured, stalls[OURS]),
            BASELINE: partial(_round, root, "", seconds, measured, stalls[BASELINE]),
        }
        rates = interleaved(measures, min(options.rounds, ROUNDS))
    milliseconds = {subject: tuple(values) for subject, values in stalls.items()}
    unit = "ms of CPU time" if options.cpu else "ms"
    yield Comparison("longest stall of the event loop", unit, milliseconds, BASELINE)
    yield Comparison(f"{SMALL_BYTES:,} B meanwhile", "requests/s", rates, BASELINE)


def _round(root: Path, hashed: str, seconds: float, measured: str, stalls: list[float]) -> float:
    """Requests for the small file a second while others request the large ones; the longest stall goes into *stalls*.

    *measured* says of what: ``passed``, or ``worked``, of the CPU time of the loop's thread alone.
    """
    port = servers.free_port()
    environment = {"BENCHMARK_TREE": str(root), "HASHED": hashed}
    command = servers.uvicorn("benchmarks.apps.unhashed:app", port)
    with servers.running(command, port, environment, pin=False):
        _fetch(port, "/stall")  # the names of small files are made with the first request
        urls: list[str] = _fetch(port, "/stall")["urls"]
        small = urls.pop()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=_client, args=(port, urls, number, until)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        count = _count(port, small, until)
        for thread in threads:
            thread.join()
        stalls.append(_fetch(port, "/stall")[measured] * 1e3)
    return count / seconds


def _fetch(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        found: dict[str, Any] = json.load(response)
    return found


def _client(port: int, urls: list[str], seed: int, until: float) -> None:
    """One visitor: HEAD, a range, or the beginning of a GET, of one large file after the other."""
    rng = random.Random(seed)
    while time.monotonic() < until:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        with suppress(OSError, HTTPException):
            kind = rng.choice(["HEAD", "GET", "range"])
            start = rng.randrange(FILE_BYTES)
            headers = {"Range": f"bytes={start}-{start + 9_999}"} if kind == "range" else {}
            connection.request("HEAD" if kind == "HEAD" else "GET", rng.choice(urls), headers=headers)
            connection.getresponse().read(READ_BYTES)
        connection.close()
        time.sleep(rng.uniform(0.05, 0.15))


def _count(port: int, url: str, until: float) -> int:
    """How often the small file comes, one request after the other."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    count = 0
    while time.monotonic() < until:
        connection.request("GET", url)
        response = connection.getresponse()
        if response.status != 200 or len(response.read()) != SMALL_BYTES:
            raise RuntimeError(f"{url} came with {response.status}")
        count += 1
    connection.close()
    return count
