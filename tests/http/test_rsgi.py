"""The RSGI door, spoken to as a server speaks to it; ``tests/servers/test_granian.py`` has the server itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asgi.client import Reply, ask
from asgi.tree import DATA, put
from assetstore import AssetStore

#: What each way of responding was called with.
Calls = list[tuple[Any, ...]]


class Protocol:
    """A server's side, which writes down what it is told."""

    def __init__(self) -> None:
        self.calls: Calls = []

    def response_bytes(self, *told: Any) -> None:
        self.calls.append(("bytes", *told))

    def response_file(self, *told: Any) -> None:
        self.calls.append(("file", *told))

    def response_file_range(self, *told: Any) -> None:
        self.calls.append(("range", *told))

    def response_stream(self, *told: Any) -> Protocol:
        self.calls.append(("stream", *told))
        return self

    async def send_bytes(self, data: bytes) -> None:
        self.calls.append(("piece", data))

    async def client_disconnect(self) -> None:
        await asyncio.Event().wait()

    def close(self, status: int | None) -> None:
        self.calls.append(("close", status))


async def nothing(*_: object) -> None:
    raise AssertionError("not for a mount")


@pytest.fixture
def store(tree: Path) -> AssetStore:
    put(tree, "big.bin", DATA * 300)
    store = AssetStore()
    store.static("/assets/", root=tree, name="assets")
    return store


def told(store: AssetStore, path: str, method: str = "GET", times: int = 1, **headers: str) -> Calls:
    """What the server is told at the last of some requests."""
    scope = SimpleNamespace(
        proto="http",
        http_version="1.1",
        scheme="http",
        method=method,
        path=f"/assets/{path}",
        query_string="",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    door = store.rsgi(nothing)
    for _ in range(times):
        protocol = Protocol()
        asyncio.run(door.__rsgi__(scope, protocol))
    return protocol.calls


def expected(store: AssetStore, path: str, method: str = "GET", **headers: str) -> Reply:
    return ask(store.wrap(nothing), path, method, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("times", [1, 3], ids=["from the file", "from memory"])
@pytest.mark.parametrize(
    "headers", [{}, {"range": "bytes=1-5"}, {"if_none_match": "*"}, {"accept_encoding": "gzip"}], ids=str
)
@pytest.mark.parametrize("path", ["data.bin", "css/app.css", "missing.css"])
def test_it_answers_as_asgi_does(store: AssetStore, path: str, headers: dict[str, str], times: int) -> None:
    reply = expected(store, path, **headers)
    [(kind, status, sent, body)] = told(store, path, times=times, **headers)
    assert (kind, status, dict(sent), body) == ("bytes", reply.status, reply.headers, reply.body)


@pytest.mark.parametrize("times", [1, 3], ids=["from the file", "from memory"])
def test_a_large_file_is_left_to_the_server(store: AssetStore, tree: Path, times: int) -> None:
    [(kind, status, _, path)] = told(store, "big.bin", times=times)
    assert (kind, status) == ("file", 200)
    assert Path(path).samefile(tree / "big.bin")


@pytest.mark.parametrize("times", [1, 3], ids=["from the file", "from memory"])
def test_a_large_part_is_left_to_the_server(store: AssetStore, times: int) -> None:
    [(kind, status, headers, _, start, stop)] = told(store, "big.bin", times=times, range="bytes=1-2500000")
    assert (kind, status, start, stop) == ("range", 206, 1, 2_500_001)
    assert dict(headers)["content-length"] == "2500000"


def test_several_large_parts_are_streamed(store: AssetStore) -> None:
    reply = expected(store, "big.bin", range="bytes=0-1200000,1300000-2500000")
    (kind, status, headers), *pieces = told(store, "big.bin", range="bytes=0-1200000,1300000-2500000")
    assert (kind, status, dict(headers)) == ("stream", 206, reply.headers)
    assert b"".join(piece for _, piece in pieces) == reply.body


def test_websockets_are_refused(store: AssetStore) -> None:
    protocol = Protocol()
    asyncio.run(store.rsgi(nothing).__rsgi__(SimpleNamespace(proto="ws"), protocol))
    assert protocol.calls == [("close", None)]


def test_the_lifespan_is_entered_before_and_left_after(store: AssetStore) -> None:
    loop = asyncio.new_event_loop()
    door = store.rsgi(nothing)
    try:
        door.__rsgi_init__(loop)
        door.__rsgi_del__(loop)
    finally:
        loop.close()
