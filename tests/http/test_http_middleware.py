"""What memory knows is answered at the door, the same as if it had been asked for anew; everything else goes through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi.client import ask, scope_of
from assetstore import AssetStore
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import SignatureReader
from assetstore.http import middleware as module
from assetstore.http import revalidation as revalidation
from assetstore.http.cache import ENTRY_BYTES, CachedRepresentation, CacheEntry, ResponseCache
from assetstore.http.middleware import with_response_cache
from assetstore.http.representation import AssetHeaders
from assetstore.http.response import plain_response
from assetstore.http.revalidation import DirectoryWatch, Revalidation, Snapshot
from assetstore.http.send import Application, BrokenOff

ROOM = 10
KEY = scope_of("1")["path"]


@pytest.fixture
def memory() -> ResponseCache:
    """One that has room for :data:`ROOM` entries."""
    return ResponseCache(0, plan_bytes=ROOM * ENTRY_BYTES)


@pytest.fixture
def door(memory: ResponseCache) -> Application:
    """What memory knows; anything else ends in :class:`BrokenOff`."""

    async def unknown(*_: object) -> None:
        raise BrokenOff("memory does not know it")

    return with_response_cache(memory, unknown)


@pytest.fixture
def asked(memory: ResponseCache, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that the memory was asked for: those that were not at hand."""
    urls: list[str] = []
    known = memory.known
    monkeypatch.setattr(memory, "known", lambda key, asked: urls.append(key) or known(key, asked))  # type: ignore[func-returns-value]
    return urls


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Callable[..., CacheEntry]:
    monkeypatch.setattr(revalidation, "CHECK_SECONDS", 600.0)  # so that a slow machine makes no entry stale

    def make(status: int = 404) -> CacheEntry:
        return CacheEntry(
            Snapshot(None, ()).revalidation(), None, missing=lambda request: plain_response(status, (), "No")
        )

    return make


def status(door: Application, path: str = "1", **headers: str) -> int:
    return ask(door, path, headers=headers).status


def test_what_memory_knows_is_answered_and_found_at_once_from_then_on(
    memory: ResponseCache, door: Application, asked: list[str], entry: Callable[..., CacheEntry]
) -> None:
    memory.put(KEY, entry())
    assert [status(door) for _ in range(3)] == [404] * 3
    assert asked == [KEY]
    assert status(door, Range="bytes=0-1") == 404
    assert asked == [KEY] * 2


def test_what_it_does_not_know_goes_to_the_application(door: Application) -> None:
    for _ in range(2):
        with pytest.raises(BrokenOff):
            ask(door, "1")


def test_what_is_no_http_goes_to_the_application(memory: ResponseCache) -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asyncio.run(with_response_cache(memory, application)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]


def test_what_is_forgotten_or_replaced_is_not_at_hand_either(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry]
) -> None:
    memory.put(KEY, first := entry(404))
    assert [status(door) for _ in range(2)] == [404] * 2
    memory.put(KEY, second := entry(410))
    assert status(door) == 410
    memory.drop(KEY, first)
    assert status(door) == 410
    memory.drop(KEY, second)
    with pytest.raises(BrokenOff):
        ask(door, "1")


def test_what_comes_to_hand_too_late_is_not_believed(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may empty the tables between asking the memory and writing the answer down."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(Revalidation, "holds", lambda self: True)
    memory.put(KEY, entry(404))
    status(door)
    [kept] = [dict(table) for table in memory._tables]
    memory.put(KEY, entry(410))
    memory._tables[0].update(kept)
    now += 2 * 600
    assert [status(door) for _ in range(3)] == [410] * 3


def test_an_entry_that_knows_more_is_asked_again(
    memory: ResponseCache, door: Application, asked: list[str], entry: Callable[..., CacheEntry]
) -> None:
    memory.put(KEY, known := entry())
    for _ in range(2):
        status(door)
    memory.put(KEY, known)
    status(door)
    assert asked == [KEY] * 2


def test_what_is_at_hand_is_looked_at_again_and_stays_at_hand(
    memory: ResponseCache, door: Application, asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"before")
    reader = LocalBackend(tmp_path).reader()
    assert isinstance(reader, SignatureReader)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    look = Snapshot(DirectoryWatch(reader), ("a.txt",))
    memory.put(KEY, CacheEntry(look.revalidation(), reader, missing=lambda request: plain_response(410, (), "No")))
    for _ in range(3):
        assert status(door) == 410
        now += 2 * revalidation.CHECK_SECONDS
    assert asked == [KEY]
    (tmp_path / "a.txt").write_bytes(b"and after")
    with pytest.raises(BrokenOff):
        ask(door, "1")
    assert len(memory) == 0


def test_what_is_found_at_hand_stays_while_others_come(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for: a memory that hears of that only now and then must not take it for cold."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(Revalidation, "holds", lambda self: True)
    memory.put(KEY, entry())
    for number in range(10 * ROOM):
        assert status(door) == 404
        now += 2 * 600
        memory.put(f"/other/{number}", entry())


def test_few_answers_are_at_hand(
    memory: ResponseCache,
    door: Application,
    asked: list[str],
    entry: Callable[..., CacheEntry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 5)
    memory.put(KEY, entry())
    for _ in range(2):
        for number in range(20):
            assert status(door, Range=f"bytes=0-{number}") == 404
            assert all(len(table) <= 5 for table in memory._tables)
    assert len(asked) == 40


def test_headers_in_lists_are_understood(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry]
) -> None:
    """The ASGI specification lets servers give pairs of any iterable kind."""
    memory.put(KEY, entry())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await door({**scope, "headers": [[b"range", b"bytes=0-1"]]}, receive, send)

    assert [ask(application, "1").status for _ in range(2)] == [404] * 2


def test_another_root_path_is_another_url(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry]
) -> None:
    memory.put(KEY, entry())
    assert status(door) == 404

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await door({**scope, "root_path": "/assets"}, receive, send)

    with pytest.raises(BrokenOff):
        ask(application, "1")


def test_what_middleware_writes_into_the_messages_is_not_repeated(
    memory: ResponseCache, door: Application, entry: Callable[..., CacheEntry]
) -> None:
    memory.put(KEY, entry())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def rewriting(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-seen", b"1"))
            await send(message)

        await door(scope, receive, rewriting)

    assert len({str(ask(application, "1").headers) for _ in range(3)}) == 1  # and no header came twice


def test_a_long_answer_comes_in_its_pieces(memory: ResponseCache, entry: Callable[..., CacheEntry]) -> None:
    chosen = AssetHeaders("a/b", "max-age=9", ()).represent(6, "t", varies=False)
    known = CacheEntry(entry().revalidation, None, identity=chosen.validators)
    known.keep(CachedRepresentation(chosen, pieces=(b"abc", b"def")))
    memory = ResponseCache(1 << 20)
    memory.put(KEY, known)
    door = with_response_cache(memory, AssetStore().wrap(_nothing))
    for _ in range(2):
        reply = ask(door, "1")
        assert (reply.body, reply.status) == (b"abcdef", 200)


async def _nothing(*_: object) -> None:
    raise AssertionError("memory knows it")
