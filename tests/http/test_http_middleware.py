"""What the cache knows is answered before the application, the same as if it were made anew; the rest goes through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi.client import ask, scope_of
from assetstore.backends.base import FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import SignatureReader
from assetstore.http import revalidation
from assetstore.http.cache import RESOURCE_BYTES, Resource, ResponseCache
from assetstore.http.handler import with_response_cache
from assetstore.http.representation import AssetHeaders, CachedFile
from assetstore.http.response import plain_response
from assetstore.http.revalidation import DirectoryWatch, Revalidation, Snapshot
from assetstore.http.send import Application, BrokenOff

CAPACITY = 10
KEY = scope_of("1")["path"]


@pytest.fixture
def cache() -> ResponseCache:
    """One that holds :data:`CAPACITY` resources."""
    return ResponseCache(0, plan_bytes=CAPACITY * RESOURCE_BYTES)


@pytest.fixture
def app(cache: ResponseCache) -> Application:
    """What the cache knows; anything else ends in :class:`BrokenOff`."""

    async def unknown(*_: object) -> None:
        raise BrokenOff("the cache does not know it")

    return with_response_cache(cache, unknown)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resource]:
    monkeypatch.setattr(revalidation, "CHECK_SECONDS", 600.0)  # so that a slow machine makes nothing stale

    def make(status: int = 404) -> Resource:
        return Resource(Snapshot(None).revalidation(), missing=plain_response(status, (), "No"))

    return make


def status(app: Application, path: str = "1", **headers: str) -> int:
    return ask(app, path, headers=headers).status


def test_what_the_cache_knows_is_answered(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource]
) -> None:
    cache.put(KEY, missing())
    assert [status(app) for _ in range(3)] == [404] * 3
    assert status(app, Range="bytes=0-1") == 404


def test_what_it_does_not_know_goes_to_the_application(app: Application) -> None:
    for _ in range(2):
        with pytest.raises(BrokenOff):
            ask(app, "1")


def test_what_is_no_http_goes_to_the_application(cache: ResponseCache) -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asyncio.run(with_response_cache(cache, application)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]


def test_what_is_forgotten_or_replaced_is_not_repeated(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource]
) -> None:
    cache.put(KEY, first := missing(404))
    assert [status(app) for _ in range(2)] == [404] * 2
    cache.put(KEY, second := missing(410))
    assert status(app) == 410
    cache.drop(KEY, first)
    assert status(app) == 410
    cache.drop(KEY, second)
    with pytest.raises(BrokenOff):
        ask(app, "1")


def test_files_are_looked_at_again_after_a_while(
    cache: ResponseCache, app: Application, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"before")
    backend = LocalBackend(tmp_path)
    reader = backend.reader()
    assert isinstance(reader, SignatureReader)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    snapshot = Snapshot(DirectoryWatch(reader), "a.txt")
    snapshot.saw(backend.stat("a.txt"))
    cache.put(KEY, Resource(snapshot.revalidation(), missing=plain_response(410, (), "No")))
    for _ in range(3):
        assert status(app) == 410
        now += 2 * revalidation.CHECK_SECONDS
    (tmp_path / "a.txt").write_bytes(b"and after")
    with pytest.raises(BrokenOff):
        ask(app, "1")
    assert len(cache) == 0


def test_what_is_requested_stays_while_others_come(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(Revalidation, "holds", lambda self: True)
    cache.put(KEY, missing())
    for number in range(10 * CAPACITY):
        assert status(app) == 404
        now += 2 * 600
        cache.put(f"/other/{number}", missing())


def test_headers_in_lists_are_understood(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource]
) -> None:
    """The ASGI specification lets servers give pairs of any iterable kind."""
    cache.put(KEY, missing())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "headers": [[b"range", b"bytes=0-1"]]}, receive, send)

    assert [ask(application, "1").status for _ in range(2)] == [404] * 2


def test_another_root_path_is_another_url(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource]
) -> None:
    cache.put(KEY, missing())
    assert status(app) == 404

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/assets"}, receive, send)

    with pytest.raises(BrokenOff):
        ask(application, "1")


def test_another_namespace_is_another_url(cache: ResponseCache, missing: Callable[..., Resource]) -> None:
    async def unknown(*_: object) -> None:
        raise BrokenOff("the cache does not know it")

    cache.put(f"site\n{KEY}", missing())
    assert status(with_response_cache(cache, unknown, "site\n")) == 404
    with pytest.raises(BrokenOff):
        ask(with_response_cache(cache, unknown), "1")


def test_what_middleware_writes_into_the_messages_is_not_repeated(
    cache: ResponseCache, app: Application, missing: Callable[..., Resource]
) -> None:
    cache.put(KEY, missing())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def rewriting(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-seen", b"1"))
            await send(message)

        await app(scope, receive, rewriting)

    assert len({str(ask(application, "1").headers) for _ in range(3)}) == 1  # and no header came twice


def test_a_long_response_comes_in_its_pieces(missing: Callable[..., Resource]) -> None:
    chosen = AssetHeaders("a/b", "max-age=9", ()).represent(6, "t", varies=False)
    known = Resource(missing().revalidation, identity=chosen.validators)
    known.add(chosen._replace(content=(b"abc", b"def")))
    cache = ResponseCache(1 << 20)
    cache.put(KEY, known)
    app = with_response_cache(cache, _nothing)
    for _ in range(2):
        reply = ask(app, "1")
        assert (reply.body, reply.status, reply.chunks) == (b"abcdef", 200, 2)


def test_a_file_that_is_not_in_memory_is_opened_again_and_has_to_be_the_same(
    missing: Callable[..., Resource], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"before")
    backend = LocalBackend(tmp_path)
    stat: FileStat = backend.stat("a.txt")
    assert stat.signature is not None
    chosen = AssetHeaders("a/b", "max-age=9", ()).represent(stat.size, "t", varies=False)
    known = Resource(missing().revalidation, identity=chosen.validators)
    known.add(chosen._replace(file=CachedFile(backend.reader(), "a.txt", stat.signature)))
    cache = ResponseCache(0)
    cache.put(KEY, known)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    app = with_response_cache(cache, application)
    assert [ask(app, "1").body for _ in range(2)] == [b"before"] * 2
    assert ask(app, "1", headers={"Range": "bytes=1-2"}).body == b"ef"
    (tmp_path / "a.txt").write_bytes(b"and after")
    assert status(app) == 500
    assert len(cache) == 0


async def _nothing(*_: object) -> None:
    raise AssertionError("the cache knows it")
