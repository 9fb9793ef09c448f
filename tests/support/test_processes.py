"""The rig itself: what is missing is said aloud, and nothing that a test starts outlives it."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from servers.processes import ASGI_SERVERS, ProcessStarter, start
from servers.programs import need_package, need_program

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""


def test_a_missing_program_skips_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-server, .* apt-get install no-such-server"):
        need_program("no-such-server")


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-server"):
        need_program("no-such-server")


def test_a_missing_package_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no_such_package"):
        need_package("no_such_package")


def test_the_world_names_itself(asset_tree: Path) -> None:
    assert (asset_tree / "js/lib/util.js").read_text() == "one from js/lib/util.js\n"


@pytest.mark.parametrize("server", sorted(ASGI_SERVERS))
def test_every_asgi_server_starts_and_ends(server: str, tmp_path: Path, package: Callable[[str], object]) -> None:
    package(server)
    (tmp_path / "tiny.py").write_text(APP)
    starter = ProcessStarter(tmp_path)
    try:
        process = starter.asgi("tiny:app", server=server, folder=tmp_path)
        with urllib.request.urlopen(process.url) as answer:
            assert answer.read() == b"ok"
    finally:
        starter.close()
    assert process.popen.returncode is not None
    deadline = time.monotonic() + 5  # a killed child takes its moment
    while alive := _alive(process.pid):
        assert time.monotonic() < deadline, alive


def _alive(group: int) -> list[psutil.Process]:
    everyone = [each for each in psutil.process_iter(["status"]) if _in_group(each.pid, group)]
    return [each for each in everyone if each.info["status"] != psutil.STATUS_ZOMBIE]


def _in_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def test_a_program_that_ends_early_tells_what_it_printed(tmp_path: Path, free_port: Callable[[], int]) -> None:
    argv = [sys.executable, "-c", "print('cannot find my configuration')"]
    with pytest.raises(AssertionError, match="cannot find my configuration"):
        start(argv, port=free_port(), log=tmp_path / "log")


def test_an_application_is_served_from_a_thread(serve_app: Callable[[object], str], tmp_path: Path) -> None:
    space: dict[str, object] = {}
    exec(APP, space)
    with urllib.request.urlopen(serve_app(space["app"])) as answer:
        assert answer.read() == b"ok"
