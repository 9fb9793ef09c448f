"""What is said of the machine and the versions that a run was made with."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

import psutil

#: How often the memory of a process is looked at.
WATCH_SECONDS = 0.01
_PACKAGES = """
uvicorn uvloop httptools granian starlette servestatic whitenoise litestar aiohttp fsspec boto3 s3fs django flask
""".split()
_PROGRAMS = {"nginx": ["nginx", "-v"], "wrk": ["wrk", "-v"]}


def server_core() -> int:
    """The core that servers are pinned to."""
    return min(_cores())


def client_core() -> int:
    """The core that what drives them is pinned to; the same where there is only one."""
    return max(_cores())


def pinned(command: Iterable[str], core: int) -> list[str]:
    """*command*, kept to one core where the system can."""
    return ["taskset", "-c", str(core), *command] if hasattr(os, "sched_getaffinity") else list(command)


def cpu_seconds(pid: int) -> float:
    """How long a process and those below it have been running so far."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes))


def resident_bytes(pid: int) -> int:
    """How much memory a process and those below it hold."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(each.memory_info().rss for each in family)


@contextmanager
def watching_memory(pid: int) -> Iterator[list[int]]:
    """How much memory a process holds, time and again for as long as the block lasts.

    What the system tells of a process that ended (``ru_maxrss``) is no less than its parent held when it was begun.
    """
    held, over = [0], threading.Event()

    def watch() -> None:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            while not over.wait(WATCH_SECONDS):
                held.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


def describe() -> dict[str, str]:
    """Machine and versions, by name."""
    told = {"machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, {_processor()}"}
    told["python"] = f"{platform.python_implementation()} {platform.python_version()}"
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            told[package] = version(package)
    for program, command in _PROGRAMS.items():
        with suppress(OSError):
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            told[program] = (said.stdout + said.stderr).splitlines()[0]
    return told


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as told:
        for line in told:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
