"""The guarded reader: every call ends in time, in a result or in an error of ours."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.reader import ThreadReader
from assetstore.backends.remote import RemoteLimits
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.guard import GuardedReader
from assetstore.backends.remote.retry import Breaker, Counters
from assetstore.errors import (
    AssetNotFound,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    VersionChanged,
)

pytestmark = pytest.mark.anyio

QUICK = RemoteLimits(connect_seconds=0.02, read_seconds=0.03, total_seconds=0.5)


class Guarded:
    """A guarded reader, and what can be seen of it."""

    def __init__(self, inner: Any, limits: RemoteLimits = QUICK) -> None:
        self.counters = Counters()
        self.breaker = Breaker(limits.breaker_faults, limits.breaker_seconds, limits.breaker_max_seconds)
        timeouts = Timeouts("memory://storage")
        self.reader = GuardedReader(inner, "memory://storage", limits, self.breaker, self.counters, timeouts)


async def test_a_passing_fault_is_not_seen(storage: Any) -> None:
    storage.put("app.css", b"x")
    storage.faults = [BackendUnavailable("reset"), BackendThrottled("slow down")]
    guarded = Guarded(storage)
    assert (await guarded.reader.stat("app.css")).size == 1
    counts = guarded.counters.counts()
    assert counts.requests == 3
    assert counts.errors == {"BackendUnavailable": 1, "BackendThrottled": 1}


async def test_there_are_at_most_three_attempts(storage: Any) -> None:
    storage.down = BackendUnavailable("reset")
    with pytest.raises(BackendUnavailable, match="reset"):
        await Guarded(storage).reader.open("app.css")
    assert len(storage.asked) == 3


@pytest.mark.parametrize("error", [AssetNotFound("x"), BackendForbidden("x")], ids=["missing", "forbidden"])
async def test_an_answer_is_not_asked_for_twice(storage: Any, error: Exception) -> None:
    storage.down = error
    guarded = Guarded(storage)
    for _ in range(20):
        with pytest.raises(type(error)):
            await guarded.reader.stat("app.css")
    assert len(storage.asked) == 20
    assert not guarded.breaker.is_open


async def test_an_attempt_that_hangs_is_given_up(storage: Any) -> None:
    storage.seconds = 60
    began = time.monotonic()
    with pytest.raises(BackendTimeout, match=r"memory://storage did not go on with 'app.css'"):
        await Guarded(storage).reader.stat("app.css")
    assert time.monotonic() - began < 10
    assert len(storage.asked) == 3


async def test_all_attempts_together_have_a_time(storage: Any) -> None:
    storage.seconds = 60
    began = time.monotonic()
    with pytest.raises(BackendTimeout):
        await Guarded(storage, RemoteLimits(attempts=1000, total_seconds=0.2, breaker_faults=10_000)).reader.stat("x")
    assert time.monotonic() - began < 10


async def test_the_breaker_answers_at_once(storage: Any, caplog: pytest.LogCaptureFixture) -> None:
    storage.down = BackendUnavailable("reset")
    guarded = Guarded(storage)
    with caplog.at_level(logging.ERROR, "assetstore.storage"):
        for _ in range(100):
            with pytest.raises(BackendUnavailable):
                await guarded.reader.stat("app.css")
    assert len(storage.asked) == 5
    assert [record.message for record in caplog.records] == [
        "memory://storage is down and is left alone for now: reset"
    ]


async def test_a_late_result_is_closed(storage: Any) -> None:
    storage.put("app.css", b"x")
    held = asyncio.Event()

    class Stubborn:
        """Its open cannot be cancelled, as one in a thread cannot."""

        async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
            with_cancel = asyncio.ensure_future(held.wait())
            while not with_cancel.done():
                try:
                    await asyncio.shield(with_cancel)
                except asyncio.CancelledError:
                    continue
            return await storage.open(path, span)

    limits = RemoteLimits(connect_seconds=0.01, read_seconds=0.01, attempts=1)
    with pytest.raises(BackendTimeout):
        await Guarded(Stubborn(), limits).reader.open("app.css")
    held.set()
    await asyncio.sleep(0.05)
    assert len(storage.asked) == 1
    assert storage.open_bodies == 0


async def test_a_backend_that_hangs_in_its_thread_is_given_up(free_thread: Callable[[], None]) -> None:
    class Hanging:
        label, remote = "hanging://", True

        def stat(self, path: str) -> FileStat:
            free_thread()
            raise AssetNotFound(path)

    limits = RemoteLimits(connect_seconds=0.02, read_seconds=0.02, attempts=1)
    began = time.monotonic()
    with pytest.raises(BackendTimeout):
        await Guarded(ThreadReader(Hanging()), limits).reader.stat("app.css")  # type: ignore[arg-type]
    assert time.monotonic() - began < 10


@pytest.fixture
def free_thread() -> Any:
    import threading

    event = threading.Event()
    yield lambda: event.wait(30)
    event.set()


async def test_a_body_goes_on_from_where_it_broke_off(storage: Any) -> None:
    content = bytes(range(256)) * 1000
    storage.put("film.bin", content)
    storage.cuts = [100_000, 50_000]
    opened = await Guarded(storage).reader.open("film.bin")
    assert b"".join([chunk async for chunk in opened.chunks(0, len(content))]) == content
    assert [each.span.start for each in storage.asked] == [0, 100_000, 150_000]
    await opened.aclose()
    assert storage.open_bodies == 0


async def test_a_body_does_not_go_on_with_another_version(storage: Any) -> None:
    content = bytes(range(256)) * 1000
    storage.put("film.bin", content)
    storage.cuts = [100_000]
    opened = await Guarded(storage).reader.open("film.bin")
    storage.put("film.bin", content[::-1])
    with pytest.raises(VersionChanged):
        _ = [chunk async for chunk in opened.chunks(0, len(content))]
    await opened.aclose()
    assert storage.open_bodies == 0
