"""The reader that remembers: one request when cold, none when hot, one version always."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assetstore.backends.base import Span
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.blocks import BLOCK_BYTES
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    VersionChanged,
)

pytestmark = pytest.mark.anyio

SMALL = b"body { color: red }\n" * 50
LARGE = bytes(range(256)) * 10_001  # ten blocks, the last one short
ONE_TRY = RemoteLimits(attempts=1, breaker_faults=1000)


def pattern(size: int, seed: int = 0) -> bytes:
    return bytes((index * 7 + index // 251 + seed) % 256 for index in range(size))


async def test_a_cold_small_file_is_one_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    assert await read(make_remote().reader, "app.css") == SMALL
    assert [(each.verb, each.path) for each in storage.asked] == [("open", "app.css")]


async def test_a_cold_large_file_is_one_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("film.bin", LARGE)
    assert await read(make_remote().reader, "film.bin") == LARGE
    assert len(storage.asked) == 1
    await asyncio.sleep(0)
    assert storage.open_bodies == 0


async def test_a_hot_small_file_is_no_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    remote = make_remote()
    for _ in range(3):
        assert await read(remote.reader, "app.css") == SMALL
    assert len(storage.asked) == 1
    counts = remote.counters.counts()
    assert (counts.misses, counts.hits, counts.requests) == (1, 2, 1)


async def test_the_block_that_was_opened_is_at_hand(storage: Any, make_remote: Any) -> None:
    storage.put("film.bin", LARGE)
    opened = await make_remote().reader.open("film.bin", Span(BLOCK_BYTES + 5, None))
    assert opened.buffered(BLOCK_BYTES + 5, BLOCK_BYTES + 9) == LARGE[BLOCK_BYTES + 5 : BLOCK_BYTES + 9]
    assert opened.buffered(BLOCK_BYTES, 2 * BLOCK_BYTES) == LARGE[BLOCK_BYTES : 2 * BLOCK_BYTES]
    assert opened.buffered(BLOCK_BYTES, 2 * BLOCK_BYTES + 1) is None
    assert opened.buffered(0, 5) is None
    await opened.aclose()
    assert opened.buffered(BLOCK_BYTES, BLOCK_BYTES + 1) is None


async def test_looking_at_a_file_opens_no_body(storage: Any, make_remote: Any) -> None:
    storage.put("film.bin", LARGE)
    stat = await make_remote().reader.stat("film.bin")
    assert stat.size == len(LARGE)
    assert (storage.count("stat"), storage.count("open")) == (1, 0)


async def test_a_cold_range_is_one_ranged_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("film.bin", LARGE)
    remote = make_remote()
    assert await read(remote.reader, "film.bin", 300_000, 900_000) == LARGE[300_000:900_000]
    assert [each.span for each in storage.asked] == [Span(BLOCK_BYTES, 4 * BLOCK_BYTES)]


async def test_the_last_bytes_are_one_ranged_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("film.bin", LARGE)
    assert await read(make_remote().reader, "film.bin", -500) == LARGE[-500:]
    assert len(storage.asked) == 1
    assert storage.asked[0].span.start < 0


async def test_a_range_past_the_end_still_tells_the_size(storage: Any, make_remote: Any) -> None:
    storage.put("app.css", SMALL)
    opened = await make_remote().reader.open("app.css", Span(10_000_000, None))
    assert opened.stat.size == len(SMALL)
    await opened.aclose()


async def test_an_empty_file_is_whole_without_a_byte(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("empty", b"")
    assert await read(make_remote().reader, "empty") == b""


async def test_a_thousand_cold_requests_are_one(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    storage.gate = asyncio.Event()
    remote = make_remote()
    reads = [asyncio.create_task(read(remote.reader, "app.css")) for _ in range(1000)]
    await asyncio.sleep(0.05)
    storage.gate.set()
    assert set(await asyncio.gather(*reads)) == {SMALL}
    assert len(storage.asked) == 1
    counts = remote.counters.counts()
    assert (counts.misses, counts.coalesced) == (1, 999)


async def test_many_readers_of_one_large_file_share_its_blocks(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("film.bin", LARGE)
    remote = make_remote()
    assert set(await asyncio.gather(*[read(remote.reader, "film.bin") for _ in range(100)])) == {LARGE}
    assert len(storage.asked) == 1


async def test_simultaneous_ranges_of_one_block_are_one_request(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("film.bin", LARGE)
    remote = make_remote()
    await remote.reader.stat("film.bin")
    reads = [read(remote.reader, "film.bin", start, start + 1000) for start in range(300_000, 400_000, 1000)]
    assert b"".join(await asyncio.gather(*reads)) == LARGE[300_000:400_000]
    assert storage.count("open") == 1


async def test_a_client_that_leaves_cancels_nothing_for_the_others(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    storage.gate = asyncio.Event()
    remote = make_remote()
    leader = asyncio.create_task(read(remote.reader, "app.css"))
    await asyncio.sleep(0.01)
    follower = asyncio.create_task(read(remote.reader, "app.css"))
    await asyncio.sleep(0.01)
    leader.cancel()
    await asyncio.sleep(0.01)
    storage.gate.set()
    assert await follower == SMALL
    assert len(storage.asked) == 1


async def test_a_follower_waits_a_bounded_time_and_goes_alone(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    storage.gate = gate = asyncio.Event()
    remote = make_remote(limits=RemoteLimits(wait_seconds=0.05))
    leader = asyncio.create_task(read(remote.reader, "app.css"))
    await asyncio.sleep(0.01)
    follower = asyncio.create_task(read(remote.reader, "app.css"))
    await asyncio.sleep(0.02)
    storage.gate = None
    assert await asyncio.wait_for(follower, 10) == SMALL
    assert not leader.done()
    gate.set()
    assert await leader == SMALL


async def test_reads_are_pinned_to_the_version_whose_facts_were_given(storage: Any, make_remote: Any) -> None:
    storage.put("film.bin", LARGE)
    opened = await make_remote().reader.open("film.bin", Span(0, 1000))
    storage.put("film.bin", bytes(len(LARGE)))
    with pytest.raises(VersionChanged):
        _ = [chunk async for chunk in opened.chunks(0, opened.stat.size)]
    await opened.aclose()
    assert storage.asked[-1].validator == "v1"


async def test_versions_without_a_validator_are_told_apart_by_their_facts(storage: Any, make_remote: Any) -> None:
    storage.validators = False
    storage.put("film.bin", LARGE)
    opened = await make_remote().reader.open("film.bin", Span(0, 1000))
    storage.put("film.bin", bytes(len(LARGE)))
    with pytest.raises(VersionChanged):
        _ = [chunk async for chunk in opened.chunks(0, opened.stat.size)]
    await opened.aclose()


async def test_whoever_tries_again_after_a_change_gets_the_new_version(
    storage: Any, make_remote: Any, read: Any
) -> None:
    storage.put("film.bin", LARGE)
    remote = make_remote(cache=CacheSettings(window_bytes=0))
    await remote.reader.stat("film.bin")
    storage.put("film.bin", new := pattern(len(LARGE), 3))
    with pytest.raises(VersionChanged):
        await read(remote.reader, "film.bin")
    assert await read(remote.reader, "film.bin") == new


async def test_after_its_time_a_file_is_confirmed_without_its_body(
    storage: Any, make_remote: Any, read: Any, clock: Any
) -> None:
    storage.put("app.css", SMALL)
    remote = make_remote(cache=CacheSettings(ttl_seconds=10))
    await read(remote.reader, "app.css")
    clock.now += 11
    assert await read(remote.reader, "app.css") == SMALL
    assert (storage.count("open"), storage.count("stat")) == (1, 1)


async def test_after_its_time_a_changed_file_is_seen(storage: Any, make_remote: Any, read: Any, clock: Any) -> None:
    storage.put("app.css", SMALL)
    remote = make_remote(cache=CacheSettings(ttl_seconds=10))
    await read(remote.reader, "app.css")
    storage.put("app.css", b"new")
    assert await read(remote.reader, "app.css") == SMALL
    clock.now += 11
    assert await read(remote.reader, "app.css") == b"new"


async def test_what_never_changes_is_never_asked_for_again(
    storage: Any, make_remote: Any, read: Any, clock: Any
) -> None:
    storage.put("app-abc.css", SMALL)
    remote = make_remote(immutable=lambda stat: stat.path.startswith("app-"))
    await read(remote.reader, "app-abc.css")
    clock.now += 10_000_000
    storage.down = BackendUnavailable("down")
    assert await read(remote.reader, "app-abc.css") == SMALL
    assert len(storage.asked) == 1


async def test_a_version_that_is_held_is_opened_without_asking(
    storage: Any, make_remote: Any, read: Any, clock: Any
) -> None:
    storage.put("app.css", SMALL)
    remote = make_remote()
    await read(remote.reader, "app.css")
    clock.now += 10_000_000
    storage.down = BackendUnavailable("down")
    assert await read(remote.reader, "app.css", validator="v1") == SMALL
    assert remote.reader.held("app.css", "v1") is not None
    assert remote.reader.held("app.css", "v0") is None
    assert len(storage.asked) == 1


async def test_another_version_than_the_one_asked_for_is_refused(storage: Any, make_remote: Any, read: Any) -> None:
    storage.put("app.css", SMALL)
    with pytest.raises(VersionChanged):
        await read(make_remote().reader, "app.css", validator="v7")


class TestMisses:
    async def test_a_miss_is_remembered_for_seconds(self, storage: Any, make_remote: Any, clock: Any) -> None:
        remote = make_remote(cache=CacheSettings(miss_seconds=5))
        for _ in range(3):
            with pytest.raises(AssetNotFound):
                await remote.reader.stat("gone.css")
        assert len(storage.asked) == 1
        clock.now += 6
        with pytest.raises(AssetNotFound):
            await remote.reader.open("gone.css")
        assert len(storage.asked) == 2

    @pytest.mark.parametrize("fault", [BackendForbidden, BackendUnavailable, BackendTimeout, BackendCredentials])
    async def test_a_fault_is_no_miss(self, storage: Any, make_remote: Any, read: Any, fault: Any) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote(limits=ONE_TRY)
        storage.faults = [fault("no")]
        with pytest.raises(fault):
            await read(remote.reader, "app.css")
        assert await read(remote.reader, "app.css") == SMALL

    async def test_misses_are_bounded_in_number(self, make_remote: Any) -> None:
        remote = make_remote(cache=CacheSettings(max_paths=10))
        for number in range(100):
            with pytest.raises(AssetNotFound):
                await remote.reader.stat(f"{number}.css")
        assert len(remote.reader._cache._misses) == 10

    async def test_forgetting_makes_a_new_file_visible_at_once(self, storage: Any, make_remote: Any, read: Any) -> None:
        remote = make_remote()
        with pytest.raises(AssetNotFound):
            await read(remote.reader, "app.css")
        storage.put("app.css", SMALL)
        remote.reader.forget(["app.css"])
        assert await read(remote.reader, "app.css") == SMALL

    async def test_an_answer_from_before_a_forget_is_not_believed_after_it(
        self, storage: Any, make_remote: Any, read: Any
    ) -> None:
        remote = make_remote()
        storage.gate = asyncio.Event()
        early = asyncio.create_task(read(remote.reader, "app.css"))
        await asyncio.sleep(0.01)
        remote.reader.forget()
        storage.gate.set()
        with pytest.raises(AssetNotFound):
            await early
        storage.put("app.css", SMALL)
        assert await read(remote.reader, "app.css") == SMALL

    async def test_a_deleted_file_is_missing_though_it_was_held(
        self, storage: Any, make_remote: Any, read: Any, clock: Any
    ) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote()
        await read(remote.reader, "app.css")
        del storage.stats["app.css"]
        clock.now += 60
        with pytest.raises(AssetNotFound):
            await read(remote.reader, "app.css")


class TestOutage:
    @pytest.mark.parametrize("fault", [BackendUnavailable, BackendTimeout, BackendCredentials])
    async def test_what_was_seen_before_is_served_and_marked(
        self, storage: Any, make_remote: Any, read: Any, clock: Any, fault: Any
    ) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote(limits=ONE_TRY)
        await read(remote.reader, "app.css")
        clock.now += 60
        storage.down = fault("down")
        assert await read(remote.reader, "app.css") == SMALL
        stat = await remote.reader.stat("app.css")
        assert stat.cache.outcome == "stale"
        assert stat.cache.age_seconds == pytest.approx(60)
        assert remote.counters.counts().stale == 2

    async def test_the_window_ends(self, storage: Any, make_remote: Any, read: Any, clock: Any) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote(cache=CacheSettings(ttl_seconds=10, stale_seconds=100), limits=ONE_TRY)
        await read(remote.reader, "app.css")
        storage.down = BackendUnavailable("down")
        clock.now += 111
        with pytest.raises(BackendUnavailable):
            await read(remote.reader, "app.css")

    async def test_forbidden_is_an_answer_and_no_outage(
        self, storage: Any, make_remote: Any, read: Any, clock: Any
    ) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote()
        await read(remote.reader, "app.css")
        clock.now += 60
        storage.down = BackendForbidden("policy")
        with pytest.raises(BackendForbidden):
            await read(remote.reader, "app.css")

    async def test_who_has_an_old_copy_does_not_wait_long(
        self, storage: Any, make_remote: Any, read: Any, clock: Any
    ) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote(cache=CacheSettings(stale_wait_seconds=0.05))
        await read(remote.reader, "app.css")
        clock.now += 60
        storage.seconds = 60
        assert await asyncio.wait_for(read(remote.reader, "app.css"), 10) == SMALL
        await remote.reader.aclose()

    async def test_a_body_that_is_not_wholly_held_is_not_begun(
        self, storage: Any, make_remote: Any, read: Any, clock: Any
    ) -> None:
        storage.put("film.bin", LARGE)
        remote = make_remote(limits=ONE_TRY)
        await read(remote.reader, "film.bin", 0, 1000)
        clock.now += 60
        storage.down = BackendUnavailable("down")
        with pytest.raises(BackendUnavailable):
            await read(remote.reader, "film.bin")
        assert await read(remote.reader, "film.bin", 0, 1000) == LARGE[:1000]

    async def test_it_ends_when_the_storage_is_back(
        self, storage: Any, make_remote: Any, read: Any, clock: Any
    ) -> None:
        storage.put("app.css", SMALL)
        remote = make_remote(limits=ONE_TRY)
        await read(remote.reader, "app.css")
        clock.now += 60
        storage.down = BackendUnavailable("down")
        await read(remote.reader, "app.css")
        storage.down = None
        storage.put("app.css", b"new")
        assert await read(remote.reader, "app.css") == b"new"


class TestBrokenBodies:
    async def test_a_body_that_breaks_off_is_read_on_from_there(
        self, storage: Any, make_remote: Any, read: Any
    ) -> None:
        storage.put("film.bin", LARGE)
        storage.cuts = [700_000]
        assert await read(make_remote().reader, "film.bin") == LARGE
        assert storage.asked[1].span.start == 700_000
        assert storage.asked[1].validator == "v1"

    async def test_a_body_that_always_breaks_off_is_an_error(self, storage: Any, make_remote: Any, read: Any) -> None:
        storage.put("film.bin", LARGE)
        storage.cuts = [700_000, 10, 10, 10, 10]
        with pytest.raises(BodyTruncated):
            await read(make_remote().reader, "film.bin")

    async def test_without_a_validator_nothing_is_read_on(self, storage: Any, make_remote: Any, read: Any) -> None:
        storage.validators = False
        storage.put("film.bin", LARGE)
        storage.cuts = [700_000]
        with pytest.raises(BodyTruncated):
            await read(make_remote().reader, "film.bin")

    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["a small file", "a large file"])
    async def test_other_bytes_than_recorded_are_an_error_and_not_kept(
        self, storage: Any, make_remote: Any, read: Any, content: bytes
    ) -> None:
        storage.checksums = True
        storage.put("app.css", content)
        storage.garbled = True
        remote = make_remote()
        with pytest.raises(BodyTruncated):
            await read(remote.reader, "app.css")
        storage.garbled = False
        assert await read(remote.reader, "app.css") == content

    async def test_a_body_that_stalls_is_too_slow(self, storage: Any, make_remote: Any, read: Any) -> None:
        storage.put("film.bin", LARGE)
        storage.stall_after = 100_000
        limits = RemoteLimits(read_seconds=0.02, total_seconds=0.2)
        with pytest.raises(BackendTimeout):
            await asyncio.wait_for(read(make_remote(limits=limits).reader, "film.bin"), 10)
        await asyncio.sleep(0.02)
        assert storage.open_bodies == 0


class TestBounds:
    async def test_large_files_drive_no_small_ones_out(self, storage: Any, make_remote: Any, read: Any) -> None:
        storage.put("app.css", SMALL)
        storage.put("film.bin", LARGE)
        remote = make_remote(cache=CacheSettings(memory_bytes=300_000, window_bytes=300_000))
        await read(remote.reader, "app.css")
        await read(remote.reader, "film.bin")
        asked = len(storage.asked)
        await read(remote.reader, "app.css")
        assert len(storage.asked) == asked

    async def test_memory_stays_within_its_bounds(self, storage: Any, make_remote: Any, read: Any) -> None:
        remote = make_remote(cache=CacheSettings(memory_bytes=100_000, window_bytes=600_000))
        for number in range(100):
            storage.put(f"{number}.css", SMALL)
            await read(remote.reader, f"{number}.css")
        storage.put("film.bin", LARGE)
        await read(remote.reader, "film.bin")
        blocks = remote.reader._blocks
        assert 50_000 < blocks._memory.weight <= 100_000
        assert 0 < blocks._window.weight <= 600_000

    async def test_when_the_client_leaves_the_connection_goes_back(self, storage: Any, make_remote: Any) -> None:
        storage.put("film.bin", LARGE)
        opened = await make_remote().reader.open("film.bin")
        async for _ in opened.chunks(0, opened.stat.size):
            break
        assert storage.open_bodies == 1
        await opened.aclose()
        await asyncio.sleep(0.01)
        assert storage.open_bodies == 0

    async def test_a_slow_client_holds_no_connection_for_long(self, storage: Any, make_remote: Any) -> None:
        storage.put("film.bin", LARGE)
        opened = await make_remote(limits=RemoteLimits(idle_seconds=0.02)).reader.open("film.bin")
        got = b""
        async for chunk in opened.chunks(0, opened.stat.size):
            got += chunk
            if len(got) <= 2 * BLOCK_BYTES:
                await asyncio.sleep(0.05)
                assert storage.open_bodies == 0
        assert got == LARGE
        await opened.aclose()

    async def test_half_read_bodies_are_bounded_in_number(self, storage: Any, make_remote: Any) -> None:
        remote = make_remote(limits=RemoteLimits(max_streams=3))
        opened = []
        for number in range(10):
            storage.put(f"{number}.bin", LARGE)
            opened.append(await remote.reader.open(f"{number}.bin"))
        await asyncio.sleep(0.01)
        assert storage.open_bodies == 3
        for each in opened:
            assert b"".join([chunk async for chunk in each.chunks(0, each.stat.size)]) == LARGE
            await each.aclose()
        await asyncio.sleep(0.01)
        assert storage.open_bodies == 0

    async def test_closing_leaves_no_task_and_no_body(self, storage: Any, make_remote: Any, read: Any) -> None:
        tasks = asyncio.all_tasks()
        storage.put("film.bin", LARGE)
        remote = make_remote()
        await remote.reader.open("film.bin")
        storage.seconds = 60
        waiting = asyncio.create_task(read(remote.reader, "other.bin"))
        await asyncio.sleep(0.01)
        await remote.reader.aclose()
        with pytest.raises(BackendUnavailable):
            await waiting
        assert storage.closed
        assert storage.open_bodies == 0
        assert asyncio.all_tasks() == tasks


class TestDisk:
    async def test_it_outlives_the_process_and_an_outage(
        self, storage: Any, make_remote: Any, read: Any, tmp_path: Path
    ) -> None:
        storage.put("film.bin", LARGE)
        storage.put("app.css", SMALL)
        cache = CacheSettings(disk_path=tmp_path)
        first = make_remote(cache=cache)
        assert await read(first.reader, "film.bin") == LARGE
        assert await read(first.reader, "app.css") == SMALL
        await first.reader.aclose()
        storage.asked.clear()
        second = make_remote(cache=cache)
        assert await read(second.reader, "film.bin") == LARGE
        assert storage.asked == []
        third = make_remote(cache=CacheSettings(disk_path=tmp_path, ttl_seconds=0), limits=ONE_TRY)
        storage.down = BackendUnavailable("down")
        assert await read(third.reader, "film.bin") == LARGE
        assert await read(third.reader, "app.css") == SMALL
        assert third.counters.counts().stale == 2

    async def test_a_damaged_entry_is_a_miss(self, storage: Any, make_remote: Any, read: Any, tmp_path: Path) -> None:
        storage.put("app.css", SMALL)
        cache = CacheSettings(disk_path=tmp_path)
        first = make_remote(cache=cache)
        await read(first.reader, "app.css")
        await first.reader.aclose()
        for file in (tmp_path / "assetstore-cache-1" / "contents").rglob("*"):
            if file.is_file():
                file.write_bytes(file.read_bytes()[:-1] + b"!")
        second = make_remote(cache=cache)
        assert await read(second.reader, "app.css") == SMALL
        assert storage.count("open") == 2

    async def test_mounts_that_share_a_directory_are_told_apart(
        self, storage: Any, make_remote: Any, read: Any, tmp_path: Path
    ) -> None:
        cache = CacheSettings(disk_path=tmp_path)
        storage.put("app.css", SMALL)
        first = make_remote(cache=cache)
        await read(first.reader, "app.css")
        await first.reader.aclose()
        storage.files["app.css"] = bytes(len(SMALL))
        assert await read(make_remote(cache=cache, label="s3://other").reader, "app.css") == bytes(len(SMALL))

    async def test_garbled_blocks_do_not_stay_on_disk(
        self, storage: Any, make_remote: Any, read: Any, tmp_path: Path
    ) -> None:
        storage.checksums = True
        storage.put("film.bin", LARGE)
        storage.garbled = True
        cache = CacheSettings(disk_path=tmp_path)
        first = make_remote(cache=cache)
        with pytest.raises(BodyTruncated):
            await read(first.reader, "film.bin")
        await first.reader.aclose()
        storage.garbled = False
        assert await read(make_remote(cache=cache).reader, "film.bin") == LARGE


@given(
    size=st.integers(0, 3 * BLOCK_BYTES + 5),
    spans=st.lists(
        st.tuples(st.integers(-BLOCK_BYTES * 4, BLOCK_BYTES * 4), st.integers(0, BLOCK_BYTES * 4)), max_size=5
    ),
    window=st.sampled_from([0, 300_000, 16_000_000]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_span_is_the_slice_of_that_name(
    make_remote: Any, storage: Any, read: Callable[..., Any], size: int, spans: list[tuple[int, int]], window: int
) -> None:
    content = pattern(size)
    storage.put("file", content)

    async def read_all() -> None:
        remote = make_remote(cache=CacheSettings(window_bytes=window, memory_bytes=window))
        for start, stop in spans:
            end = None if start < 0 else stop
            assert await read(remote.reader, "file", start, end) == content[start:end]
        await remote.reader.aclose()

    asyncio.run(read_all())
