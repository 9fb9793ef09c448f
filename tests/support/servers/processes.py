"""Processes that tests start: each listens before its test goes on, and none outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

#: How each ASGI server is told what to serve and where.
ASGI_SERVERS = {
    "uvicorn": "uvicorn {app} --host 127.0.0.1 --port {port} --log-level warning --no-server-header",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port} --log-level warning",
    "granian": "granian {app} --interface asgi --host 127.0.0.1 --port {port} --no-ws --log-level warning",
}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs and listens on ``port``; what it prints goes to the file ``log``."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        """All that it has printed so far, errors included."""
        return self.log.read_text(errors="replace")

    def stop(self, patience_seconds: float = 5) -> int:
        """Ask it and its children to end, then make them; returns the exit status."""
        self._signal(signal.SIGTERM)
        try:
            status = self.popen.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            status = None
        self._signal(signal.SIGKILL)  # children that outlived it, and itself
        return self.popen.wait() if status is None else status

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


def start(
    argv: Sequence[str | Path],
    *,
    port: int,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    within_seconds: float = 20,
) -> Process:
    """Start a program in a process group of its own and wait until it listens on *port*.

    With *user*, it runs under that user and group id.

    Raises:
        AssertionError: it ended, or did not listen in time; with all that it printed.
    """
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [str(each) for each in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
    process = Process(popen, port, log)
    deadline = time.monotonic() + within_seconds
    while not _listens(port):
        if popen.poll() is not None or time.monotonic() > deadline:
            status = process.stop()
            raise AssertionError(f"{argv[0]} did not listen on {port} (status {status}):\n{process.output[-4000:]}")
        time.sleep(0.01)
    return process


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class ProcessStarter:
    """Starts programs and ends all of them at :meth:`close`, the last one first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._exits = contextlib.ExitStack()
        self._count = 0

    def __call__(
        self,
        argv: Sequence[str | Path],
        *,
        port: int,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        within_seconds: float = 20,
    ) -> Process:
        self._count += 1
        log = self._directory / f"{self._count}-{Path(argv[0]).name}.log"
        process = start(argv, port=port, log=log, cwd=cwd, env=env, user=user, within_seconds=within_seconds)
        self._exits.callback(process.stop)
        return process

    def asgi(
        self,
        app: str,
        *,
        server: str = "uvicorn",
        folder: Path | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Serve *app* (``module:attribute``, looked for in *folder*) with one of :data:`ASGI_SERVERS`."""
        port = free_port()
        words = ASGI_SERVERS[server].format(app=app, port=port).split()
        path = os.pathsep.join(str(each) for each in (folder, PROJECT) if each)
        argv = [sys.executable, "-m", *words, *args]
        return self(argv, port=port, cwd=folder, env={"PYTHONPATH": path, **(env or {})})

    def close(self) -> None:
        self._exits.close()


@pytest.fixture
def start_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStarter]:
    """Starts processes for one test: ``start_process([...], port=…)``, ``start_process.asgi("app:app", folder=…)``."""
    starter = ProcessStarter(tmp_path_factory.mktemp("processes"))
    with contextlib.closing(starter):
        yield starter


@pytest.fixture(scope="module")
def start_module_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStarter]:
    """As ``start_process``; they live as long as the module's tests."""
    starter = ProcessStarter(tmp_path_factory.mktemp("processes"))
    with contextlib.closing(starter):
        yield starter


@pytest.fixture(scope="session")
def start_session_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStarter]:
    """As ``start_process``; they live as long as the test run."""
    starter = ProcessStarter(tmp_path_factory.mktemp("processes"))
    with contextlib.closing(starter):
        yield starter


@pytest.fixture(name="free_port")
def free_port_fixture() -> Callable[[], int]:
    """``free_port()`` is a port of 127.0.0.1 that nobody listens on now."""
    return free_port
