"""This module proves the README: its tour is run as it stands, its tables are compared with the code."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assetstore.settings import Settings

if TYPE_CHECKING:
    from servers.s3 import S3Bucket

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def blocks(language: str) -> Iterator[str]:
    yield from (body for found, body in FENCE.findall(section("Five minutes")) if found == language)


def steps() -> Iterator[tuple[str, str]]:
    """Each command of the tour, and what the README says it prints."""
    for block in blocks("console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            yield command, printed


@pytest.fixture
def shell(moto_bucket: S3Bucket, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[[str], str]]:
    """One bash for the whole tour: ports are free ones, ``my-bucket`` is one that exists, nothing outlives it."""
    for name in ("assetstore", "uvicorn"):
        starter = tmp_path / "bin" / name
        starter.parent.mkdir(exist_ok=True)
        starter.write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
        starter.chmod(0o755)
    folder = tmp_path / "tour"
    folder.mkdir()
    ports = {"8000": str(free_port()), "8001": str(free_port())}
    bash = subprocess.Popen(
        ["bash"],
        cwd=folder,
        env=_environment(moto_bucket, tmp_path / "bin"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    def run(command: str) -> str:
        for shown, real in {**ports, "my-bucket": moto_bucket.name}.items():
            command = command.replace(shown, real)
        assert bash.stdin is not None
        assert bash.stdout is not None
        bash.stdin.write(f"{command}\n")
        bash.stdin.flush()
        if command.endswith("&"):
            _await(int(next(port for port in ports.values() if port in command)))
        bash.stdin.write("echo; echo ==end==\n")
        bash.stdin.flush()
        printed = _until_end(bash.stdout)
        for shown, real in {**ports, "my-bucket": moto_bucket.name}.items():
            printed = printed.replace(real, shown)
        return printed

    yield run
    os.killpg(bash.pid, signal.SIGTERM)
    bash.communicate(timeout=20)


def _environment(bucket: S3Bucket, programs: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{PROJECT}{os.pathsep}.",
        "AWS_ENDPOINT_URL": bucket.server.endpoint_url,
        "AWS_ACCESS_KEY_ID": bucket.server.access_key,
        "AWS_SECRET_ACCESS_KEY": bucket.server.secret_key,
        "AWS_DEFAULT_REGION": bucket.server.region,
    }


def _until_end(stream: Iterator[str]) -> str:
    printed = ""
    for line in stream:
        if line == "==end==\n":
            return printed
        printed += line
    raise AssertionError(printed)


def _await(port: int) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.05)


@pytest.mark.program("curl")
def test_the_tour_does_what_it_says(shell: Callable[[str], str], tmp_path: Path) -> None:
    for block in blocks("python"):
        if block.startswith("# shop.py"):
            (tmp_path / "tour/shop.py").write_text(block)
    for command, said in steps():
        printed = shell(command)
        wanted = ".*".join(re.escape(part) for part in said.strip().split("…"))
        assert re.fullmatch(wanted, printed.strip(), re.DOTALL), f"$ {command}\n{printed}"


def test_the_examples_in_python_print_what_they_say() -> None:
    text = "".join(block for block in blocks("python") if block.startswith(">>>"))
    found = doctest.DocTestParser().get_doctest(text, {}, "README", "README.md", 0)
    assert found.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found).failed == 0


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section("Settings"), re.MULTILINE))
    defaults = {each.name: getattr(Settings(), each.name) for each in fields(Settings)}
    assert rows == {name: f"`{value}`" if value or value is False else "empty" for name, value in defaults.items()}


def test_the_table_names_every_command_in_its_order() -> None:
    named = re.findall(r"^\| `assetstore (\w+)", section("Commands"), re.MULTILINE)
    assert named == ["serve", "url", "importmap", "publish", "releases", "rollback", "prune", "check"]


def test_the_map_names_every_folder_once() -> None:
    named = re.findall(r"^\| `assetstore/([a-z0-9/]*)` \|", section("The code"), re.MULTILINE)
    package = PROJECT / "assetstore"
    folders = {each.parent.relative_to(package).as_posix() for each in package.rglob("*.py")} - {"."}
    assert sorted(each.rstrip("/") for each in named if each) == sorted(folders)


def test_every_link_leads_to_something_here() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_two_commands_exist(command: str) -> None:
    assert f"make {command} " in section("Two commands")
    done = subprocess.run([shutil.which("make") or "make", "-n", command], cwd=PROJECT, capture_output=True, timeout=30)
    assert done.returncode == 0
