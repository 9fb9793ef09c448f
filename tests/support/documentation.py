"""The code blocks of a Markdown page, and a shell that runs them as a reader would.

A block with ``title="shop.py"`` is a file, written when its turn comes. A ``console`` block holds commands after ``$ ``
and what they print, where ``…`` stands for anything. A block that begins with ``>>>`` is a doctest. In a tab
(``=== "FastAPI"``) a block belongs to that tab.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.processes import PROJECT, free_port
from servers.programs import SEARCH_PATH
from servers.s3 import S3Bucket

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
_TAB = re.compile(r'^(?P<indent> *)=== "(?P<label>[^"]+)"$', re.M)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of code."""

    language: str
    body: str
    #: The name of the file that the block shows; empty for none.
    title: str
    #: The label of the tab that it stands in; empty for none.
    tab: str
    line: int

    def steps(self) -> Iterator[tuple[str, str]]:
        """Each command of a ``console`` block, and what the page says it prints."""
        for step in re.split(r"^\$ ", self.body, flags=re.M)[1:]:
            lines = step.split("\n")
            count = 1 + next((n for n, each in enumerate(lines) if not each.endswith("\\")), 0)
            yield "\n".join(lines[:count]), "\n".join(lines[count:])


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    found = []
    for fence in _FENCE.finditer(text):
        indent = len(fence["indent"])
        lines = fence["body"].splitlines(keepends=True)
        body = "".join(line[indent:] if line.strip() else line.lstrip(" ") for line in lines)
        title = re.search(r'title="([^"]+)"', fence["info"])
        tabs = [each for each in _TAB.finditer(text, 0, fence.start()) if len(each["indent"]) < indent]
        tab = tabs[-1]["label"] if tabs and indent else ""
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(fence["language"], body, title[1] if title else "", tab, line))
    return found


class Shell:
    """One bash for a whole page: ports are free ones, and ``my-bucket`` is a bucket that exists."""

    def __init__(self, folder: Path, bucket: S3Bucket, environment: Path | None = None) -> None:
        """*environment* is a virtual environment to run in; without one, that of the tests is used."""
        self._folder = folder / "page"
        self._folder.mkdir()
        ports = {shown: str(free_port()) for shown in ("8000", "8001", "8080", "5000")}
        self._replaced = {**ports, "my-bucket": bucket.name}
        paths = {
            "PATH": f"{_programs(folder) if environment is None else environment / 'bin'}{os.pathsep}{SEARCH_PATH}",
            "PYTHONPATH": f"{PROJECT}{os.pathsep}." if environment is None else "",
        }
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=self._folder,
            env={**os.environ, **_environment(bucket), **paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def write(self, name: str, body: str) -> None:
        """Save a file of the page."""
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._real(body))

    def run(self, command: str) -> str:
        """What *command* prints; one that ends with ``&`` is waited for until it listens on its port."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        command = self._real(command)
        self._bash.stdin.write(f"{command}\n")
        self._bash.stdin.flush()
        if command.endswith("&"):
            _await(int(next(port for port in self._replaced.values() if port in command)))
        self._bash.stdin.write("echo; echo ==end==\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if line == "==end==\n":
                break
            printed += line
        else:
            raise AssertionError(printed)
        for shown, real in self._replaced.items():
            printed = printed.replace(real, shown)
        return printed

    def close(self) -> None:
        os.killpg(self._bash.pid, signal.SIGTERM)
        try:
            self._bash.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.communicate()

    def _real(self, text: str) -> str:
        for shown, real in self._replaced.items():
            text = text.replace(shown, real)
        return text


@contextmanager
def shell_in(folder: Path, bucket: S3Bucket, environment: Path | None = None) -> Iterator[Shell]:
    """A shell in a new folder of *folder*; everything that it started ends with it."""
    shell = Shell(folder, bucket, environment)
    try:
        yield shell
    finally:
        shell.close()


def installs(text: str) -> list[list[str]]:
    """What each ``pip install`` of a page is given, in order."""
    shells = (each.body for each in blocks(text) if each.language == "sh")
    return [shlex.split(line)[2:] for body in shells for line in body.splitlines() if line.startswith("pip install ")]


def tours(page: Path) -> list[str]:
    """The tabs of a page that have files or commands; one without a name where there is none; nothing to run: none."""
    found = [each for each in blocks(page.read_text("utf-8")) if each.language == "console" or each.title]
    if not any(each.language == "console" for each in found):
        return []
    return sorted({each.tab for each in found if each.tab}) or [""]


def run_page(found: list[Block], shell: Shell) -> None:
    """Write the files and run the commands of a page, in order, and compare what they print."""
    for block in found:
        if block.title:
            shell.write(block.title, block.body)
        elif block.language == "console":
            for command, said in block.steps():
                printed = shell.run(command)
                wanted = ".*".join(re.escape(part) for part in said.strip().split("…"))
                assert re.fullmatch(wanted, printed.strip(), re.S), (
                    f"line {block.line}: $ {command}\n{printed}\ninstead of\n{said}"
                )


def _programs(folder: Path) -> Path:
    """A folder with the commands that an installed assetstore would have put on the PATH."""
    programs = folder / "bin"
    programs.mkdir()
    modules = {name: name for name in ("assetstore", "uvicorn", "pytest", "django")}
    for name, module in {**modules, "moto_server": "moto.server", "python": ""}.items():
        run = f'{sys.executable} -m {module} "$@"' if module else f'{sys.executable} "$@"'
        (programs / name).write_text(f"#!/bin/sh\nexec {run}\n")
        (programs / name).chmod(0o755)
    return programs


def _environment(bucket: S3Bucket) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": bucket.server.endpoint_url,
        "AWS_ACCESS_KEY_ID": bucket.server.access_key,
        "AWS_SECRET_ACCESS_KEY": bucket.server.secret_key,
        "AWS_DEFAULT_REGION": bucket.server.region,
        "NO_COLOR": "1",
    }


def _await(port: int) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.05)
