"""Metadata: believed for a while, asked for once, and stale only for who has the bytes as well."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.blocks import BLOCK_BYTES, Blocks
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.disk import FOLDER, DiskCache, DiskStore, NoDisk
from assetstore.backends.remote.metadata import Metadata, MetadataCache
from assetstore.backends.remote.retry import Counters
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendError,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
)

pytestmark = pytest.mark.anyio

NO_DISK = NoDisk()

MIB = 1024 * 1024
PATH = "app.css"
CONTENT = b"body {}"
FILM = bytes(2 * MIB)


class Asking:
    """The facts of one mount, and what stands around them."""

    def __init__(self, reader: Any, clock: Any, disk_store: NoDisk, immutable: bool, **settings: Any) -> None:
        cache = CacheSettings(**{"ttl_seconds": 10, "stale_seconds": 100, "miss_seconds": 5, **settings})
        limits = RemoteLimits()
        self.known = MetadataCache(cache, lambda stat: immutable, clock=clock)
        self.blocks = Blocks(reader, cache, limits, Timeouts("s3://bucket"), disk_store)
        self.counters = Counters()
        self.facts = Metadata(reader, self.known, self.blocks, disk_store, cache, limits, self.counters)
        self.disk_store = disk_store

    async def current(self, path: str = PATH, span: Span | None = WHOLE) -> FileStat:
        return await self.facts.current(path, span)

    async def outcome(self, path: str = PATH, span: Span | None = WHOLE) -> str:
        stat = await self.current(path, span)
        assert stat.cache is not None
        return stat.cache.outcome

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """As the reader does when something was published."""
        self.known.forget(paths)
        self.facts.leave()

    async def aclose(self) -> None:
        await self.facts.aclose()
        await self.blocks.aclose()
        await self.disk_store.aclose()


class LateAnswers:
    """A reader whose answers are true when they are made, and arrive when ``answers`` is set."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._made = asyncio.Event()
        self.answers: asyncio.Event | None = asyncio.Event()

    async def asked(self, question: Any) -> asyncio.Task[FileStat]:
        """*question*, as soon as its answer is under way."""
        task = asyncio.create_task(question)
        await self._made.wait()
        return task

    async def stat(self, path: str) -> FileStat:
        return await self._late(self._storage.stat(path))

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
        return await self._late(self._storage.open(path, span, validator=validator))

    async def _late(self, answer: Any) -> Any:
        answers = self.answers
        try:
            return await answer
        finally:
            self._made.set()
            if answers is not None:
                await answers.wait()


@pytest.fixture
def late(storage: Any) -> LateAnswers:
    return LateAnswers(storage)


MakeAsking = Callable[..., Asking]


@pytest.fixture
def make_asking(storage: Any, clock: Any) -> MakeAsking:
    """``make_asking(disk_store, reader=…, **settings)`` over ``storage``, in which ``app.css`` and ``film.bin`` are."""
    storage.put(PATH, CONTENT)
    storage.put("film.bin", FILM)

    def make(
        disk_store: NoDisk = NO_DISK, *, reader: Any = storage, immutable: bool = False, **settings: Any
    ) -> Asking:
        return Asking(reader, clock, disk_store, immutable, **settings)

    return make


class TestFresh:
    async def test_a_file_that_is_wanted_and_unknown_is_opened_at_once(
        self, storage: Any, make_asking: MakeAsking
    ) -> None:
        asking = make_asking()
        assert await asking.outcome() == "miss"
        assert [each.verb for each in storage.asked] == ["open"]
        assert asking.blocks.held(storage.stats[PATH], 0) == CONTENT

    async def test_a_file_that_is_only_looked_at_is_not_opened(self, storage: Any, make_asking: MakeAsking) -> None:
        assert await make_asking().outcome(span=None) == "miss"
        assert [each.verb for each in storage.asked] == ["stat"]

    async def test_for_a_while_the_storage_is_believed_and_then_asked_again(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking()
        seen = []
        for seconds in (0, 9, 2, 9):
            clock.now += seconds
            seen.append(await asking.outcome())
        assert seen == ["miss", "hit", "miss", "hit"]
        assert [each.verb for each in storage.asked] == ["open", "stat"]

    async def test_a_new_version_is_told_once_the_old_one_is_not_believed_any_more(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking()
        await asking.current()
        storage.put(PATH, b"new")
        assert (await asking.current()).size == len(CONTENT)
        clock.now += 11
        assert (await asking.current()).size == 3

    async def test_time_counts_from_the_question_and_not_from_the_answer(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking()
        storage.gate = asyncio.Event()
        first = asyncio.create_task(asking.outcome())
        await asyncio.sleep(0.01)
        clock.now += 8
        storage.gate.set()
        assert await first == "miss"
        clock.now += 3
        assert await asking.outcome() == "miss"

    async def test_what_never_changes_is_asked_for_once(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking(immutable=True)
        await asking.current()
        clock.now += 1_000_000
        asking.forget()
        assert await asking.outcome() == "hit"
        assert len(storage.asked) == 1

    async def test_all_who_want_to_know_at_once_are_one_request(self, storage: Any, make_asking: MakeAsking) -> None:
        asking = make_asking()
        storage.seconds = 0.01
        said = await asyncio.gather(*[asking.outcome() for _ in range(100)])
        assert (said.count("miss"), said.count("collapsed"), len(storage.asked)) == (1, 99, 1)
        counts = asking.counters.counts()
        assert (counts.misses, counts.coalesced) == (1, 99)


class TestStale:
    @pytest.mark.parametrize("fault", [BackendUnavailable, BackendTimeout, BackendThrottled, BackendCredentials])
    async def test_what_is_held_stands_in_for_a_storage_that_fails(
        self, storage: Any, make_asking: MakeAsking, clock: Any, fault: type[Exception]
    ) -> None:
        asking = make_asking()
        await asking.current()
        clock.now += 60
        storage.down = fault("down")
        stat = await asking.current()
        assert stat == storage.stats[PATH]
        assert stat.cache is not None
        assert (stat.cache.outcome, stat.cache.age_seconds) == ("stale", 60)
        assert asking.counters.counts().stale == 1

    @pytest.mark.parametrize("answer", [BackendForbidden, BackendError], ids=["forbidden", "an error with no name"])
    async def test_it_does_not_stand_in_for_an_answer(
        self, storage: Any, make_asking: MakeAsking, clock: Any, answer: type[Exception]
    ) -> None:
        asking = make_asking()
        await asking.current()
        clock.now += 60
        storage.down = answer("no")
        with pytest.raises(answer):
            await asking.current()
        assert asking.counters.counts().stale == 0

    async def test_only_for_a_time(self, storage: Any, make_asking: MakeAsking, clock: Any) -> None:
        asking = make_asking()
        await asking.current()
        storage.down = BackendUnavailable("down")
        clock.now += 109
        assert await asking.outcome() == "stale"
        clock.now += 2
        with pytest.raises(BackendUnavailable):
            await asking.current()

    @pytest.mark.parametrize(
        ("span", "stands_in"),
        [
            pytest.param(None, True, id="facts alone need no bytes"),
            pytest.param(Span(5, BLOCK_BYTES), True, id="bytes that are held"),
            pytest.param(Span(BLOCK_BYTES, None), False, id="bytes that are not held"),
            pytest.param(WHOLE, False, id="bytes of which some are not held"),
        ],
    )
    async def test_only_where_the_bytes_that_are_wanted_are_held(
        self, storage: Any, make_asking: MakeAsking, clock: Any, span: Span | None, stands_in: bool
    ) -> None:
        asking = make_asking()
        await asking.current("film.bin", Span(0, 1000))
        clock.now += 60
        storage.down = BackendUnavailable("down")
        if stands_in:
            assert await asking.outcome("film.bin", span) == "stale"
        else:
            with pytest.raises(BackendUnavailable):
                await asking.current("film.bin", span)

    async def test_who_has_something_to_give_waits_for_a_moment_only(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking(stale_wait_seconds=0.02)
        await asking.current()
        clock.now += 60
        storage.gate = asyncio.Event()
        assert await asking.outcome() == "stale"
        storage.gate.set()
        await asyncio.sleep(0.02)
        assert await asking.outcome() == "hit"  # the question went on without its client

    async def test_who_has_not_waits_on_with_the_same_request(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking(stale_wait_seconds=0.02)
        await asking.current("film.bin", Span(0, 1000))
        clock.now += 60
        storage.gate = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, storage.gate.set)
        assert await asking.outcome("film.bin") == "collapsed"
        assert [each.verb for each in storage.asked] == ["open", "stat"]

    async def test_it_ends_when_the_storage_is_back(self, storage: Any, make_asking: MakeAsking, clock: Any) -> None:
        asking = make_asking()
        await asking.current()
        clock.now += 60
        storage.faults = [BackendUnavailable("down")]
        assert [await asking.outcome() for _ in range(3)] == ["stale", "miss", "hit"]


class TestMisses:
    async def test_a_miss_is_believed_for_a_while(self, storage: Any, make_asking: MakeAsking, clock: Any) -> None:
        asking = make_asking()
        for _ in range(3):
            with pytest.raises(AssetNotFound):
                await asking.current("gone.css")
        assert len(storage.asked) == 1
        counts = asking.counters.counts()
        assert (counts.misses, counts.hits) == (1, 2)
        storage.put("gone.css", CONTENT)
        with pytest.raises(AssetNotFound, match="a few seconds ago"):
            await asking.current("gone.css")
        clock.now += 5
        assert await asking.outcome("gone.css") == "miss"

    async def test_with_no_time_for_misses_each_is_asked(self, storage: Any, make_asking: MakeAsking) -> None:
        asking = make_asking(miss_seconds=0)
        for _ in range(3):
            with pytest.raises(AssetNotFound):
                await asking.current("gone.css")
        assert len(storage.asked) == 3

    @pytest.mark.parametrize(
        "fault", [BackendForbidden, BackendCredentials, BackendUnavailable, BackendTimeout, BackendThrottled]
    )
    @pytest.mark.parametrize("span", [None, WHOLE], ids=["looked at", "opened"])
    async def test_nothing_else_is_a_miss(
        self, storage: Any, make_asking: MakeAsking, fault: type[Exception], span: Span | None
    ) -> None:
        asking = make_asking()
        storage.faults = [fault("no")]
        with pytest.raises(fault):
            await asking.current(span=span)
        assert await asking.outcome(span=span) == "miss"

    async def test_they_are_bounded_in_number_and_the_oldest_go(self, storage: Any, make_asking: MakeAsking) -> None:
        asking = make_asking(max_paths=10)
        for number in range(30):
            with pytest.raises(AssetNotFound):
                await asking.current(f"{number}.css")
        storage.asked.clear()
        for number in reversed(range(30)):
            with pytest.raises(AssetNotFound):
                await asking.current(f"{number}.css")
        assert [each.path for each in storage.asked] == [f"{number}.css" for number in reversed(range(20))]

    async def test_what_is_missing_by_now_does_not_stand_in_for_anything(
        self, storage: Any, make_asking: MakeAsking, clock: Any
    ) -> None:
        asking = make_asking()
        await asking.current()
        del storage.stats[PATH]
        clock.now += 11
        with pytest.raises(AssetNotFound):
            await asking.current()
        storage.down = BackendUnavailable("down")
        clock.now += 6
        with pytest.raises(BackendUnavailable):
            await asking.current()


class TestForget:
    @pytest.mark.parametrize("paths", [None, [PATH]], ids=["all", "this one"])
    async def test_it_makes_the_new_version_known_at_once(
        self, storage: Any, make_asking: MakeAsking, clock: Any, paths: Any
    ) -> None:
        asking = make_asking()
        await asking.current()
        storage.put(PATH, b"new")
        clock.now += 1
        asking.forget(paths)
        assert (await asking.current()).size == 3

    @pytest.mark.parametrize("paths", [None, [PATH]], ids=["all", "this one"])
    async def test_it_makes_a_new_file_known_at_once(self, storage: Any, make_asking: MakeAsking, paths: Any) -> None:
        asking = make_asking()
        stat = storage.stats.pop(PATH)
        with pytest.raises(AssetNotFound):
            await asking.current()
        storage.stats[PATH] = stat
        asking.forget(paths)
        assert await asking.outcome() == "miss"

    async def test_who_asks_after_it_does_not_join_who_asked_before(
        self, storage: Any, make_asking: MakeAsking
    ) -> None:
        asking = make_asking()
        storage.gate = before = asyncio.Event()
        early = asyncio.create_task(asking.current())
        await asyncio.sleep(0.01)
        asking.forget()
        storage.gate = None
        assert await asyncio.wait_for(asking.outcome(), 10) == "miss"
        assert not early.done()
        before.set()
        await early
        assert len(storage.asked) == 2

    @pytest.mark.parametrize("span", [None, WHOLE], ids=["looked at", "opened"])
    async def test_an_answer_from_before_it_is_for_who_asked_and_nobody_else(
        self, storage: Any, make_asking: MakeAsking, late: Any, span: Span | None
    ) -> None:
        asking = make_asking(reader=late)
        early = await late.asked(asking.current(span=span))
        storage.put(PATH, b"new")
        asking.forget()
        late.answers.set()
        assert (await early).size == len(CONTENT)
        assert (await asking.current(span=span)).size == 3

    async def test_nor_does_such_an_answer_undo_what_was_learnt_since(
        self, storage: Any, make_asking: MakeAsking, late: Any
    ) -> None:
        asking = make_asking(reader=late)
        early = await late.asked(asking.current())
        storage.put(PATH, b"new")
        asking.forget()
        late.answers, before = None, late.answers
        assert (await asking.current()).size == 3
        before.set()
        assert (await early).size == len(CONTENT)
        assert (await asking.outcome(), (await asking.current()).size) == ("hit", 3)

    async def test_that_a_file_was_missing_before_it_is_not_believed_after_it(
        self, storage: Any, make_asking: MakeAsking, late: Any
    ) -> None:
        asking = make_asking(reader=late)
        early = await late.asked(asking.current("new.css"))
        storage.put("new.css", b"new")
        asking.forget()
        late.answers.set()
        with pytest.raises(AssetNotFound):
            await early
        assert (await asking.current("new.css")).size == 3


@pytest.fixture
def make_disk_store(tmp_path: Path) -> Callable[[], DiskStore]:
    """Each is what a process of its own would have in the same directory."""
    return lambda: DiskStore("s3://bucket", DiskCache(tmp_path, 64 * MIB))


def age(path: Path, seconds: float) -> None:
    """Let all that is on disk have been confirmed so long ago."""
    for file in (path / FOLDER / "keys").rglob("*"):
        os.utime(file, (time.time() - seconds, time.time() - seconds))


class TestDisk:
    """A process that begins with what another left on disk."""

    async def test_it_knows_what_was_confirmed_a_moment_ago(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        asking = make_asking(make_disk_store())
        assert await asking.outcome() == "hit"
        assert len(storage.asked) == 1

    async def test_it_confirms_what_is_older_without_reading_it(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, tmp_path: Path
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 60)
        assert await make_asking(make_disk_store()).outcome() == "miss"
        assert [each.verb for each in storage.asked] == ["open", "stat"]

    async def test_it_gives_what_is_older_where_the_storage_fails(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, tmp_path: Path
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 60)
        storage.down = BackendUnavailable("down")
        stat = await make_asking(make_disk_store()).current()
        assert stat.cache is not None
        assert stat.cache.outcome == "stale"
        assert stat.cache.age_seconds == pytest.approx(60, abs=5)

    async def test_what_is_too_old_is_not_given(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, tmp_path: Path
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 120)
        storage.down = BackendUnavailable("down")
        with pytest.raises(BackendUnavailable):
            await make_asking(make_disk_store()).current()

    async def test_what_is_not_there_is_asked_for(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any
    ) -> None:
        assert await make_asking(make_disk_store()).outcome() == "miss"
        assert [each.verb for each in storage.asked] == ["open"]

    async def test_what_was_found_missing_is_not_left_there(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, tmp_path: Path
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 60)
        del storage.stats[PATH]
        asking = make_asking(make_disk_store())
        with pytest.raises(AssetNotFound):
            await asking.current()
        await asking.aclose()
        storage.down = BackendUnavailable("down")
        with pytest.raises(BackendUnavailable):
            await make_asking(make_disk_store()).current()

    @pytest.mark.parametrize("paths", [None, [PATH]], ids=["all", "this one"])
    async def test_what_another_confirmed_before_a_forget_is_not_believed_after_it(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, clock: Any, tmp_path: Path, paths: Any
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 2)
        storage.put(PATH, b"new")
        asking = make_asking(make_disk_store())
        asking.forget(paths)
        assert (await asking.current()).size == 3
        assert await asking.outcome() == "hit"

    @pytest.mark.parametrize("paths", [None, [PATH]], ids=["all", "this one"])
    async def test_but_it_still_stands_in_for_an_outage(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, tmp_path: Path, paths: Any
    ) -> None:
        await self.another_asked(make_asking(make_disk_store()))
        age(tmp_path, 2)
        storage.down = BackendUnavailable("down")
        asking = make_asking(make_disk_store())
        asking.forget(paths)
        assert await asking.outcome() == "stale"

    @pytest.mark.parametrize("span", [None, WHOLE], ids=["looked at", "opened"])
    async def test_an_answer_from_before_a_forget_is_not_found_there_after_it(
        self, storage: Any, make_asking: MakeAsking, make_disk_store: Any, late: Any, clock: Any, span: Span | None
    ) -> None:
        disk_store = make_disk_store()
        asking = make_asking(disk_store, reader=late)
        early = await late.asked(asking.current(span=span))
        storage.put(PATH, b"new")
        asking.forget()
        clock.now += 1
        late.answers.set()
        assert (await early).size == len(CONTENT)
        await disk_store.aclose()
        assert (await asking.current(span=span)).size == 3

    async def another_asked(self, asking: Asking) -> None:
        await asking.current()
        await asking.aclose()


async def test_closing_ends_what_is_under_way(storage: Any, make_asking: MakeAsking) -> None:
    asking = make_asking()
    storage.gate = asyncio.Event()
    waiting = asyncio.create_task(asking.current())
    await asyncio.sleep(0.01)
    await asking.aclose()
    with pytest.raises(BackendUnavailable, match="closed"):
        await waiting


async def test_closing_ends_what_is_being_looked_up_on_disk(make_asking: MakeAsking, tmp_path: Path) -> None:
    free = threading.Event()

    class Busy(DiskCache):
        def get(self, key: str) -> bytes | None:
            free.wait(30)
            return None

    asking = make_asking(DiskStore("s3://bucket", Busy(tmp_path, 64 * MIB)))
    waiting = asyncio.create_task(asking.current())
    await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.05, free.set)
    await asking.aclose()
    with pytest.raises(BackendUnavailable, match="closed"):
        await waiting
