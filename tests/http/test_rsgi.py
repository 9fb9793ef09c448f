"""The RSGI application, spoken to as a server speaks to it; ``tests/servers/test_granian.py`` has the server itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asgi.client import Reply, ask
from asgi.tree import DATA, put
from assetstore import AssetStore
from assetstore.http import revalidation
from assetstore.http.representation import PIECE_BYTES
from assetstore.http.rsgi import RSGIApplication

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


class Headers(dict[str, str]):
    """A request's headers, as the server gives them."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


async def nothing(*_: object) -> None:
    raise AssertionError("not for a mount")


def made(store: AssetStore) -> RSGIApplication:
    """As ``assetstore serve`` makes it."""
    return RSGIApplication(store.wrap(nothing), store.response_cache, store.lifespan(nothing))


@pytest.fixture
def store(tree: Path) -> AssetStore:
    put(tree, "big.bin", DATA * 300)
    store = AssetStore()
    store.static("/assets/", root=tree, name="assets")
    return store


def scope_of(path: str, method: str = "GET", proto: str = "http", **headers: str) -> SimpleNamespace:
    return SimpleNamespace(
        proto=proto,
        http_version="1.1",
        scheme="http",
        method=method,
        path=f"/assets/{path}",
        query_string="",
        headers=Headers({name.replace("_", "-"): value for name, value in headers.items()}),
    )


def told(store: AssetStore, path: str, method: str = "GET", times: int = 1, **headers: str) -> Calls:
    """What the server is told at the last of some requests."""
    scope = scope_of(path, method, **headers)
    application = made(store)
    for _ in range(times):
        protocol = Protocol()
        asyncio.run(application.__rsgi__(scope, protocol))
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


def test_websockets_are_refused_even_where_an_asset_was_asked_for_in_the_same_words(store: AssetStore) -> None:
    application, handshake = made(store), {"connection": "upgrade", "upgrade": "websocket"}
    for kind, expected in (("http", ["bytes"]), ("http", ["bytes"]), ("http", ["bytes"]), ("ws", ["close"])):
        protocol = Protocol()
        asyncio.run(application.__rsgi__(scope_of("css/app.css", proto=kind, **handshake), protocol))
        assert [name for name, *_ in protocol.calls] == expected


def once(application: RSGIApplication, scope: object) -> tuple[Any, ...]:
    protocol = Protocol()
    asyncio.run(application.__rsgi__(scope, protocol))
    [call] = protocol.calls
    return call


def test_a_file_that_was_told_of_before_is_looked_at_again(
    store: AssetStore, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revalidation, "CHECK_SECONDS", 0.2)
    put(tree, "note.txt", b"before")
    application, scope = made(store), scope_of("note.txt")
    assert [once(application, scope)[3] for _ in range(3)] == [b"before"] * 3
    put(tree, "note.txt", b"and after")
    time.sleep(0.25)
    assert [once(application, scope)[3] for _ in range(3)] == [b"and after"] * 3


def test_a_long_answer_from_memory_is_streamed(store: AssetStore, tree: Path) -> None:
    content = bytes(range(256)) * 4096
    put(tree, "long.bin", content)
    reply = expected(store, "long.bin")
    (kind, status, headers), *pieces = told(store, "long.bin", times=3)
    assert (kind, status, dict(headers)) == ("stream", 200, reply.headers)
    assert [len(piece) for _, piece in pieces] == [PIECE_BYTES] * 4
    assert b"".join(piece for _, piece in pieces) == content


@pytest.mark.parametrize("times", [1, 3], ids=["from the file", "from memory"])
def test_a_client_that_leaves_a_stream_is_no_fault(store: AssetStore, tree: Path, times: int) -> None:
    put(tree, "long.bin", bytes(range(256)) * 4096)

    class Left(Protocol):
        async def send_bytes(self, data: bytes) -> None:
            await super().send_bytes(data)
            if len(self.calls) > 2:
                raise RuntimeError("RSGI transport is closed")

    application = made(store)
    for _ in range(times):
        protocol = Left()
        asyncio.run(application.__rsgi__(scope_of("long.bin"), protocol))
        assert [kind for kind, *_ in protocol.calls] == ["stream", "piece", "piece"]


def test_bytes_that_are_not_kept_are_read_anew_each_time(tree: Path) -> None:
    note = put(tree, "note.txt", b"before")
    store = AssetStore(ASSETS_MEMORY_BYTES=0)
    store.static("/assets/", root=tree, name="assets")
    application = made(store)
    for _ in range(3):
        assert once(application, scope_of("note.txt"))[3] == b"before"
    note.write_bytes(b"after!")
    assert once(application, scope_of("note.txt"))[3] == b"after!"


def test_a_header_that_comes_twice_is_read_twice(store: AssetStore) -> None:
    etag = expected(store, "data.bin").headers["etag"]
    scope = scope_of("data.bin", if_none_match='"other"')
    scope.headers.get_all = lambda name: ['"other"', etag] if name == "if-none-match" else []
    application = made(store)
    assert [once(application, scope)[1] for _ in range(3)] == [304] * 3


def test_the_lifespan_is_entered_before_and_left_after(store: AssetStore) -> None:
    loop = asyncio.new_event_loop()
    application = made(store)
    try:
        application.__rsgi_init__(loop)
        application.__rsgi_del__(loop)
    finally:
        loop.close()
