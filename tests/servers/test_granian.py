"""This module proves the door to granian: TLS, and an end that lets answers finish."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from asgi.client import ask
from assetstore.servers.tree import Tree
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


@pytest.mark.program("openssl")
def test_it_speaks_tls(
    world: Path, tmp_path: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request.split(), *names], check=True, capture_output=True)
    port = free_port()
    start_process([*SERVE, world, "--port", str(port), "--tls-cert", cert, "--tls-key", key], port=port, cwd=PROJECT)
    trusting = ssl.create_default_context(cafile=str(cert))
    with urlopen(f"https://127.0.0.1:{port}/assets/robots.txt", context=trusting, timeout=10) as answer:
        assert answer.read() == b"one from robots.txt\n"


def test_an_answer_under_way_is_finished_before_it_ends(
    world: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    size = 30_000_000
    (world / "large.bin").write_bytes(b"x" * size)
    port = free_port()
    server = start_process([*SERVE, world, "--port", str(port)], port=port, cwd=PROJECT)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /assets/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        received = len(client.recv(65_536))
        server.popen.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert server.popen.poll() is None
        while chunk := client.recv(1_000_000):
            received += len(chunk)
    assert received > size
    assert server.popen.wait(timeout=10) in {0, -signal.SIGTERM}


def test_it_answers_as_the_application_does(
    world: Path, start_process: ProcessStarter, free_port: Callable[[], int]
) -> None:
    """Small and large, whole and in parts, conditional, missing; the second time from memory."""
    (world / "large.bin").write_bytes(bytes(range(256)) * 12_000)
    store = Tree(str(world)).store()
    application, port = store.wrap(_nothing), free_port()
    start_process([*SERVE, world, "--port", str(port)], port=port, cwd=PROJECT)
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
                for _ in range(2):
                    assert _said(port, path, method, headers) == (expected.status, expected.headers, expected.body)


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
