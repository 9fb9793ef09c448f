"""Driving a server with wrk, and checking that it answers what it should first."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.machine import client_core, cpu_seconds, pinned

#: Connections that are kept busy at once.
CONNECTIONS = 32

#: How much longer than it should run wrk is told to, and how long it may take to stop.
SPARE_SECONDS = 60

#: The least of a server's own time that says something.
ENOUGH_SECONDS = 0.2

_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)", re.MULTILINE)
_P99 = re.compile(r"^\s*99%\s+([0-9.]+)(us|ms|s|m)", re.MULTILINE)
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_COUNT = re.compile(r"^\s*(\d+) requests in", re.MULTILINE)
_READ = re.compile(r"requests in [0-9.]+\w+, ([0-9.]+)([KMGT]?)B read")
_TRANSFER = re.compile(r"^Transfer/sec:\s+([0-9.]+)([KMGT]?)B", re.MULTILINE)
_BINARY = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_REFUSED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_BROKEN = re.compile(r"Socket errors: (.*)")


class WrongAnswer(Exception):
    """A subject does not do the work that is to be timed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, over and over; and what the answer must be."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    #: SHA-256 of the body in hex digits; ``None`` where only its status matters.
    sha256: str | None = None
    #: A file of further paths, one a line, to be asked for in rotation instead of ``path``.
    rotation: str = ""
    #: How long an answer is, in bytes, where so few are sent that one that is half read in the end counts for a
    #: half; 0 where whole answers are counted.
    length: int = 0


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def ask(request: Request) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers with lower-case names, body."""
    connection = http.client.HTTPConnection("127.0.0.1", request.port, timeout=10)
    try:
        connection.request("GET", request.path, headers=dict(request.headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def check(request: Request) -> None:
    """Ask twice, since the second answer may come from a memory.

    Raises:
        WrongAnswer: status or bytes are not what they should be.
    """
    for _ in range(2):
        status, headers, body = ask(request)
        if status != request.status:
            raise WrongAnswer(f"{request.path} answered {status}, not {request.status}")
        if request.sha256 is not None and hashlib.sha256(body).hexdigest() != request.sha256:
            raise WrongAnswer(f"{request.path} answered {len(body)} other bytes; headers {headers}")


def visit(port: int, paths: list[str]) -> None:
    """Ask for each of *paths* twice, with the same words as wrk: what is measured in rotation is no longer cold."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for path in paths * 2:  # an answer is remembered when it is asked for again
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        connection.getresponse().read()
    connection.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a server kept up."""

    #: Requests per second.
    rate: float
    #: What 99 of 100 answers took at most, in milliseconds.
    p99_ms: float
    #: Answers in all.
    count: float


def rate(request: Request, seconds: float) -> float:
    """Requests per second.

    Raises:
        WrongAnswer: connections broke, or some answers had another status.
    """
    return pace(request, seconds).rate


def rate_of_cpu(request: Request, seconds: float, pid: int) -> float:
    """Requests for each second that the processes below *pid* were running; raises as :func:`rate`."""
    count, spent = 0, 0.0
    while spent < ENOUGH_SECONDS:  # on a busy machine a server may hardly have been running at all
        before = cpu_seconds(pid)
        count += pace(request, seconds).count
        spent += cpu_seconds(pid) - before
    return count / spent


def pace(request: Request, seconds: float, connections: int = CONNECTIONS) -> Pace:
    """Drive the server with so many connections; raises as :func:`rate`."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{round(seconds) + SPARE_SECONDS}s",
        "--latency",
        "--timeout",
        "20s",
    ]
    for name, value in request.headers.items():
        command += ["-H", f"{name}: {value}"]
    if request.rotation:
        command += ["-s", request.rotation]
    command.append(f"http://127.0.0.1:{request.port}{request.path}")
    said = _for_a_while(pinned(command, client_core()), seconds)
    refused = int(found[1]) if (found := _REFUSED.search(said)) else 0
    count, speed = _COUNT.search(said), _RATE.search(said)
    if _BROKEN.search(said) or count is None or speed is None:
        raise WrongAnswer(f"{request.path}: {said}")
    if refused != (int(count[1]) if request.status >= 400 else 0):
        raise WrongAnswer(f"{request.path}: {refused} of {count[1]} answers had another status")
    slowest = _P99.search(said)
    p99_ms = float(slowest[1]) * _MILLISECONDS[slowest[2]] if slowest else float("nan")
    if request.length:
        return Pace(_bytes(_TRANSFER, said) / request.length, p99_ms, _bytes(_READ, said) / request.length)
    return Pace(float(speed[1]), p99_ms, int(count[1]))


def _bytes(pattern: re.Pattern[str], said: str) -> float:
    found = pattern.search(said)
    return float(found[1]) * _BINARY[found[2]] if found else 0.0


def _for_a_while(command: list[str], seconds: float) -> str:
    """What wrk says once it was told to stop: by itself it only knows whole seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=SPARE_SECONDS)
        finally:
            process.kill()
    return said


def rotation_script(paths: list[str]) -> str:
    """A Lua script for wrk that asks for each of *paths* in turn."""
    listed = ",\n".join(f'"{path}"' for path in paths)
    return (
        f"local paths = {{\n{listed}\n}}\nlocal requests = {{}}\nlocal turn = 0\n"
        "function init(args)\n  for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end\nend\n"
        "function request()\n  turn = turn % #requests + 1\n  return requests[turn]\nend\n"
    )
