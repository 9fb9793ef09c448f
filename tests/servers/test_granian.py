"""granian: RSGI gives the responses that the application gives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import unquote

from asgi.client import ask
from asgi.wire import connect, exchange, request_of
from assetstore.servers import Tree
from servers.processes import ProcessStarter

SERVE = [sys.executable, "-m", "assetstore", "serve", "--server", "granian"]
PROJECT = Path(__file__).parents[2]

HEADERS: list[dict[str, str]] = [
    {},
    {"Accept-Encoding": "gzip"},
    {"If-None-Match": "*"},
    {"If-Match": '"other"'},
    {"Range": "bytes=5-9"},
    {"Range": "bytes=100-2500000"},
    {"Range": "bytes=0-1,5-6"},
    {"Range": "bytes=99999999-"},
]
#: Headers that granian adds by itself.
OF_THE_SERVER = {"server", "date", "connection", "transfer-encoding"}


def test_it_answers_as_the_application_does(
    asset_tree: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    """Small and large, whole and in parts, conditional, missing; from memory the second time, as it was told then the third."""
    (asset_tree / "large.bin").write_bytes(bytes(range(256)) * 12_000)
    store = Tree(str(asset_tree)).store()
    application, port = store.wrap(_nothing), free_port()
    start_process([*SERVE, asset_tree, "--port", str(port)], port=port, cwd=PROJECT)
    for path in (
        "robots.txt",
        store.url_for("assets", file="css/app.css").removeprefix("/assets/"),
        "large.bin",
        "images/a%20cat.jpg",
        "images/gr%C3%BC%C3%9Fe.svg",
        "missing.css",
        "%2e%2e/secret",
    ):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            for headers in HEADERS:
                expected = ask(application, unquote(path), method, headers)
                for _ in range(3):
                    assert _said(port, path, method, headers) == (expected.status, expected.headers, expected.body)


def test_clients_that_leave_in_the_middle_are_no_fault(
    asset_tree: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    """In pieces: from the file the first time, from memory after that."""
    (asset_tree / "long.bin").write_bytes(bytes(range(256)) * 6_000)
    port = free_port()
    process = start_process([*SERVE, asset_tree, "--port", str(port)], port=port, cwd=PROJECT)
    for _ in range(10):
        with connect(port, receive_buffer=4096) as wire:
            wire.sendall(request_of(b"/assets/long.bin"))
            wire.recv(100)
    assert len(exchange(port, request_of(b"/assets/long.bin")).body) == 256 * 6_000
    process.stop()
    assert "Traceback" not in process.output


def _said(port: int, path: str, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, f"/assets/{path}", headers={"Accept-Encoding": "identity", **headers})
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in OF_THE_SERVER}
        return answer.status, told, answer.read()
    finally:
        connection.close()


async def _nothing(*_: object) -> None:
    raise AssertionError("not for a mount")
