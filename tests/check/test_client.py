"""How a CDN is asked: over kept connections, with bounded memory, and never with an exception."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from assetstore.check.client import KEPT_BYTES, CdnClient, CdnResponse


class Cdn(BaseHTTPRequestHandler):
    """Answers with what the path asks for, and tells which connections it saw."""

    protocol_version = "HTTP/1.1"
    connections: set[Any] = set()

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        size = int(self.path.rpartition("/")[2].partition("?")[0] or 0)
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("X-Asked", f"{self.path} {self.headers.get('Accept-Encoding')} {self.headers.get('Host')}")
        self.send_header("Vary", "Origin")
        self.send_header("Vary", "Accept-Encoding")
        self.end_headers()
        self.wfile.write(b"x" * size)
        if "close" in self.path:
            self.close_connection = True  # without having said so

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cdn)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Cdn.connections.clear()
    yield f"http://127.0.0.1:{server.server_port}/cdn"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(base: str) -> Iterator[CdnClient]:
    client = CdnClient(base, timeout_seconds=5)
    yield client
    client.close()


def test_paths_stand_below_the_base_and_headers_are_sent(client: CdnClient, base: str) -> None:
    response = client.get("a%20b/5?x=1", Accept_Encoding="gzip")
    host = base.removeprefix("http://").removesuffix("/cdn")
    assert response.header("x-asked") == f"/cdn/a%20b/5?x=1 gzip {host}"
    assert (response.url, response.status, response.size, response.body) == (f"{base}/a%20b/5?x=1", 200, 5, b"xxxxx")
    assert response.header("vary") == "Origin, Accept-Encoding"


def test_one_connection_serves_many_requests(client: CdnClient) -> None:
    for _ in range(5):
        client.get("5")
    assert len(Cdn.connections) == 1
    assert client.requests == 5


def test_a_kept_connection_that_was_closed_is_replaced(client: CdnClient) -> None:
    for _ in range(3):
        assert client.get("close/5").status == 200


def test_a_large_body_is_digested_and_not_kept(client: CdnClient) -> None:
    response = client.get(str(KEPT_BYTES + 1))
    assert (response.size, response.body) == (KEPT_BYTES + 1, None)
    assert len(response.sha256) == 64


def test_no_answer_is_an_answer_that_says_why(free_port: Any) -> None:
    client = CdnClient(f"http://127.0.0.1:{free_port()}/", timeout_seconds=1)
    response = client.get("a.css")
    assert response.status == 0
    assert "refused" in response.error


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        ("max-age=0, Public", {"max-age": "0", "public": ""}),
        ('private="x", no-cache', {"private": "x", "no-cache": ""}),
        ("", {}),
        (" , ,", {}),
        ("max-age = 5", {"max-age ": " 5"}),
    ],
)
def test_cache_control_is_read_as_directives(value: str, directives: dict[str, str]) -> None:
    assert dict(CdnResponse("u", 200, {"cache-control": value}).directives) == directives
