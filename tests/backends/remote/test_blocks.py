"""Blocks: from memory, else from the disk, else by one request; of one version, and verified before they count."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.blocks import BLOCK_BYTES, Blocks
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.disk import DiskCache, DiskStore, NoDisk
from assetstore.errors import AssetNotFound, BackendTimeout, BackendUnavailable, BodyTruncated, VersionChanged

pytestmark = pytest.mark.anyio

NO_DISK = NoDisk()

MIB = 1024 * 1024
SMALL = os.urandom(2 * BLOCK_BYTES + 1000)
LARGE = os.urandom(4 * BLOCK_BYTES + 1000)  # no small object where the settings say three blocks

MakeBlocks = Callable[..., Blocks]


@pytest.fixture
def make_blocks(storage: Any) -> MakeBlocks:
    """``make_blocks(disk_store, limits=…, **settings)`` over ``storage``, where ``small`` and ``large`` are."""
    storage.put("small", SMALL)
    storage.put("large", LARGE)

    def make(disk_store: NoDisk = NO_DISK, limits: RemoteLimits | None = None, **settings: Any) -> Blocks:
        cache = CacheSettings(**{"small_object_bytes": 3 * BLOCK_BYTES, **settings})
        return Blocks(storage, cache, limits or RemoteLimits(), Timeouts("s3://bucket"), disk_store)

    return make


@pytest.fixture
def make_disk_store(tmp_path: Path) -> Callable[[], DiskStore]:
    return lambda: DiskStore("s3://bucket", DiskCache(tmp_path, 64 * MIB))


def block_of(content: bytes, number: int) -> bytes:
    return content[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]


def held(blocks: Blocks, stat: FileStat) -> list[int]:
    """The numbers of the blocks that are in memory."""
    return [number for number in range(8) if blocks.held(stat, number) is not None]


def outcomes(blocks: Blocks, stat: FileStat) -> Callable[..., Any]:
    async def outcome(number: int, stop: int | None = None) -> str:
        content, cache = await blocks.get(stat, number, stat.size if stop is None else stop)
        assert content == block_of(LARGE if stat.path == "large" else SMALL, number)
        return cache.outcome

    return outcome


class TestWhere:
    async def test_a_block_that_is_nowhere_is_one_request_for_what_is_wanted(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        stat = storage.stats["large"]
        assert await outcomes(make_blocks(), stat)(1, 2 * BLOCK_BYTES + 5) == "miss"
        assert [(each.verb, each.span) for each in storage.asked] == [("open", Span(BLOCK_BYTES, 3 * BLOCK_BYTES))]

    async def test_a_block_in_memory_is_no_request(self, storage: Any, make_blocks: MakeBlocks) -> None:
        outcome = outcomes(make_blocks(), storage.stats["large"])
        assert [await outcome(1), await outcome(1)] == ["miss", "hit"]
        assert len(storage.asked) == 1

    async def test_a_block_on_disk_is_no_request_and_is_in_memory_from_then_on(
        self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any
    ) -> None:
        stat = storage.stats["small"]
        first = make_blocks(make_disk_store())
        await outcomes(first, stat)(0)
        await first._disk.aclose()
        storage.down = BackendUnavailable("down")
        second = make_blocks(make_disk_store())
        assert await outcomes(second, stat)(2) == "hit"
        assert held(second, stat) == [2]
        assert len(storage.asked) == 1

    @pytest.mark.parametrize("kept", [b"", SMALL[: BLOCK_BYTES - 1], SMALL[: BLOCK_BYTES + 1]], ids=len)
    async def test_a_block_on_disk_of_another_length_is_not_believed(
        self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any, kept: bytes
    ) -> None:
        stat, disk_store = storage.stats["small"], make_disk_store()
        disk_store.keep_block(("small", "v1", len(SMALL), None), 0, kept)
        await disk_store.aclose()
        assert await outcomes(make_blocks(disk_store), stat)(0) == "miss"

    async def test_a_file_is_read_on_with_the_request_that_began_it(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks, stat = make_blocks(), storage.stats["large"]
        blocks.streams.enter(("large", "v1", len(LARGE), None))
        assert [await outcomes(blocks, stat)(number) for number in range(5)] == ["miss"] * 5
        assert len(storage.asked) == 1
        await asyncio.sleep(0)
        assert storage.open_bodies == 0

    async def test_what_is_missing_by_now_is_missing(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks()
        gone = storage.stats.pop("large")
        with pytest.raises(AssetNotFound):
            await blocks.get(gone, 0, 1)


class TestCoalescing:
    async def test_a_hundred_who_want_a_block_are_one_request(self, storage: Any, make_blocks: MakeBlocks) -> None:
        outcome = outcomes(make_blocks(), storage.stats["large"])
        storage.seconds = 0.01
        said = await asyncio.gather(*[outcome(0) for _ in range(100)])
        assert (said.count("miss"), said.count("collapsed")) == (1, 99)
        assert len(storage.asked) == 1

    async def test_a_fault_is_shared_by_all_who_wait_and_by_nobody_later(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks, stat = make_blocks(), storage.stats["large"]
        storage.seconds, storage.faults = 0.01, [BackendUnavailable("reset")]
        ends = await asyncio.gather(*[blocks.get(stat, 0, 1) for _ in range(10)], return_exceptions=True)
        assert [str(end) for end in ends] == ["reset"] * 10
        assert await outcomes(blocks, stat)(0) == "miss"

    async def test_two_versions_are_two_requests(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks, old = make_blocks(), storage.stats["large"]
        storage.put("large", LARGE[::-1])
        storage.seconds = 0.01
        ends = await asyncio.gather(
            blocks.get(storage.stats["large"], 0, 1), blocks.get(old, 0, 1), return_exceptions=True
        )
        assert ends[0][0] == block_of(LARGE[::-1], 0)  # type: ignore[index]
        assert isinstance(ends[1], VersionChanged)


class TestVersions:
    @pytest.mark.parametrize("validators", [True, False], ids=["by its validator", "by its size and time"])
    async def test_no_other_version_than_the_one_asked_for_is_read(
        self, storage: Any, make_blocks: MakeBlocks, validators: bool
    ) -> None:
        blocks = make_blocks()
        storage.validators = validators
        storage.put("large", LARGE)
        old = storage.stats["large"]
        storage.put("large", LARGE[::-1])
        with pytest.raises(VersionChanged):
            await blocks.get(old, 0, 1)
        assert storage.asked[-1].validator == old.validator
        assert storage.open_bodies == 0
        assert held(blocks, old) == []

    async def test_a_version_that_became_too_short_has_changed(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks()
        storage.validators = False
        storage.put("large", LARGE)
        old = storage.stats["large"]
        storage.put("large", b"short")
        with pytest.raises(VersionChanged, match="'large' is no longer the version"):
            await blocks.get(old, 1, len(LARGE))

    async def test_what_is_held_of_a_version_is_given_though_there_is_a_newer_one(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks, old = make_blocks(), storage.stats["small"]
        await blocks.get(old, 0, len(SMALL))
        storage.put("small", new := SMALL[::-1])
        assert await outcomes(blocks, old)(0) == "hit"
        assert (await blocks.get(storage.stats["small"], 0, 1))[0] == block_of(new, 0)


@pytest.fixture
def checksums(storage: Any) -> None:
    """The storage recorded the SHA-256 of every file."""
    storage.checksums = True


@pytest.mark.usefixtures("checksums")
class TestSmallObjects:
    async def test_all_of_it_is_kept_after_one_request_for_its_first_block(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks, stat = make_blocks(), storage.stats["small"]
        await outcomes(blocks, stat)(0)
        assert held(blocks, stat) == [0, 1, 2]
        assert [await outcomes(blocks, stat)(number) for number in (1, 2)] == ["hit", "hit"]
        assert storage.open_bodies == 0

    async def test_not_a_block_of_a_wrong_body_is_given_out_or_kept(
        self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any
    ) -> None:
        disk_store = make_disk_store()
        blocks, stat = make_blocks(disk_store), storage.stats["small"]
        storage.garbled = True
        with pytest.raises(BodyTruncated, match="SHA-256"):
            await blocks.get(stat, 0, len(SMALL))
        with pytest.raises(BodyTruncated, match="SHA-256"):
            await blocks.begin("small", WHOLE)
        assert held(blocks, stat) == []
        await disk_store.aclose()
        assert not await make_blocks(disk_store).holds(stat, Span(0, 1))
        storage.garbled = False
        assert await outcomes(blocks, stat)(0) == "miss"

    async def test_a_body_cut_short_leaves_nothing_behind(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks, stat = make_blocks(), storage.stats["small"]
        storage.cuts = [len(SMALL) - 1]
        with pytest.raises(BodyTruncated):
            await blocks.get(stat, 0, len(SMALL))
        assert held(blocks, stat) == []
        await asyncio.sleep(0)
        assert storage.open_bodies == 0


class AtHand:
    """A reader whose small bodies come with their headers."""

    def __init__(self, content: bytes, sha256: str) -> None:
        self.stat_ = FileStat("tiny", len(content), validator="v1", sha256=sha256)
        self._content = content

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
        return _AllHere(self.stat_, self._content)


class _AllHere:
    def __init__(self, stat: FileStat, content: bytes) -> None:
        self.stat = stat
        self._content = content

    def buffered(self, start: int, stop: int) -> bytes:
        return self._content[start:stop]

    async def aclose(self) -> None:
        pass


class TestAtHand:
    async def test_a_body_that_came_with_its_headers_is_kept_as_it_is(self) -> None:
        reader = AtHand(b"tiny", hashlib.sha256(b"tiny").hexdigest())
        blocks = Blocks(reader, CacheSettings(), RemoteLimits(), Timeouts("s3://bucket"), NO_DISK)  # type: ignore[arg-type]
        assert (await blocks.get(reader.stat_, 0, 4))[0] == b"tiny"
        assert blocks.held(reader.stat_, 0) == b"tiny"

    async def test_it_is_verified_as_well(self) -> None:
        reader = AtHand(b"tiny", "0" * 64)
        blocks = Blocks(reader, CacheSettings(), RemoteLimits(), Timeouts("s3://bucket"), NO_DISK)  # type: ignore[arg-type]
        with pytest.raises(BodyTruncated, match="SHA-256"):
            await blocks.get(reader.stat_, 0, 4)
        assert blocks.held(reader.stat_, 0) is None


@pytest.mark.usefixtures("checksums")
class TestLargeObjects:
    async def test_a_body_that_proves_wrong_at_its_end_drops_the_blocks_before_it(
        self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any
    ) -> None:
        disk_store = make_disk_store()
        blocks, stat = make_blocks(disk_store), storage.stats["large"]
        storage.garbled = True
        blocks.streams.enter(("large", "v1", len(LARGE), None))
        for number in range(4):
            assert (await blocks.get(stat, number, len(LARGE)))[0] == bytes(BLOCK_BYTES)
        assert held(blocks, stat) == [0, 1, 2, 3]
        with pytest.raises(BodyTruncated, match="SHA-256"):
            await blocks.get(stat, 4, len(LARGE))
        assert held(blocks, stat) == []
        await disk_store.aclose()
        assert [await disk_store.block(("large", "v1", len(LARGE), None), number) for number in range(5)] == [None] * 5

    async def test_a_body_that_is_cut_short_drops_them_all(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks, stat = make_blocks(), storage.stats["large"]
        for number in (0, 4):
            await blocks.get(stat, number, 1)
        assert held(blocks, stat) == [0, 4]
        storage.cuts = [1000]
        with pytest.raises(BodyTruncated):
            await blocks.get(stat, 2, len(LARGE))
        assert held(blocks, stat) == []

    async def test_a_fault_drops_nothing(self, storage: Any, make_blocks: MakeBlocks) -> None:
        limits = RemoteLimits(total_seconds=0.2)
        blocks, stat = make_blocks(limits=limits), storage.stats["large"]
        await blocks.get(stat, 0, 1)
        storage.stall_after = 0
        with pytest.raises(BackendTimeout):
            await blocks.get(stat, 1, len(LARGE))
        assert held(blocks, stat) == [0]
        await blocks.aclose()
        assert storage.open_bodies == 0


class TestBounds:
    async def test_large_objects_pass_through_the_window_and_drive_no_small_ones_out(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks = make_blocks(memory_bytes=MIB, window_bytes=2 * BLOCK_BYTES + 1000)
        small, large = storage.stats["small"], storage.stats["large"]
        await blocks.get(small, 0, len(SMALL))
        for number in range(5):
            await blocks.get(large, number, len(LARGE))
        assert held(blocks, large) == [3, 4]
        assert held(blocks, small) == [0, 1, 2]

    async def test_small_objects_drive_no_large_ones_out(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks(memory_bytes=2 * BLOCK_BYTES + 1000)
        small, large = storage.stats["small"], storage.stats["large"]
        await blocks.get(large, 0, 1)
        await blocks.get(small, 0, len(SMALL))
        assert held(blocks, small) == [1, 2]
        assert held(blocks, large) == [0]

    async def test_a_memory_of_nothing_still_gives_every_block(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks(memory_bytes=0, window_bytes=0)
        for path, blocks_of in (("small", 3), ("large", 5)):
            outcome = outcomes(blocks, storage.stats[path])
            assert [await outcome(number) for number in range(blocks_of)] == ["miss"] * blocks_of


class TestHolds:
    @pytest.mark.parametrize(
        ("span", "holds"),
        [
            pytest.param(Span(0, 0), True, id="no byte is always held"),
            pytest.param(Span(len(LARGE) + 5, None), True, id="nothing lies past the end"),
            pytest.param(Span(BLOCK_BYTES, 2 * BLOCK_BYTES), True, id="a block that is here"),
            pytest.param(Span(BLOCK_BYTES + 5, BLOCK_BYTES + 6), True, id="a byte of a block that is here"),
            pytest.param(Span(BLOCK_BYTES - 1, BLOCK_BYTES + 1), False, id="a byte of the block before is not here"),
            pytest.param(Span(BLOCK_BYTES, 2 * BLOCK_BYTES + 1), False, id="nor is one of the block after"),
            pytest.param(Span(-1), False, id="nor is the last byte"),
            pytest.param(WHOLE, False, id="nor is the whole"),
        ],
    )
    async def test_a_span_is_held_if_all_of_it_is(
        self, storage: Any, make_blocks: MakeBlocks, span: Span, holds: bool
    ) -> None:
        blocks, stat = make_blocks(), storage.stats["large"]
        await blocks.get(stat, 1, 2 * BLOCK_BYTES)
        assert await blocks.holds(stat, span) is holds

    async def test_what_is_on_disk_is_held(self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any) -> None:
        disk_store, stat = make_disk_store(), storage.stats["small"]
        await make_blocks(disk_store).get(stat, 0, len(SMALL))
        await disk_store.aclose()
        assert await make_blocks(disk_store).holds(stat, WHOLE)

    async def test_what_is_partly_in_memory_and_partly_on_disk_is_held(
        self, storage: Any, make_blocks: MakeBlocks, make_disk_store: Any
    ) -> None:
        disk_store, stat = make_disk_store(), storage.stats["large"]
        await make_blocks(disk_store).get(stat, 0, BLOCK_BYTES)
        await disk_store.aclose()
        blocks = make_blocks(disk_store)
        await blocks.get(stat, 1, 2 * BLOCK_BYTES)
        disk_store.drop_blocks(("large", "v1", len(LARGE), None), range(1, 2))  # as if it had not been written
        await disk_store.aclose()
        assert await blocks.holds(stat, Span(0, 2 * BLOCK_BYTES))
        assert not await blocks.holds(stat, Span(0, 2 * BLOCK_BYTES + 1))


class TestBegin:
    async def test_facts_and_first_block_come_with_one_request(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks()
        stat = await blocks.begin("large", Span(BLOCK_BYTES + 5, BLOCK_BYTES + 6))
        assert stat == storage.stats["large"]
        assert held(blocks, stat) == [1]
        assert [(each.verb, each.span) for each in storage.asked] == [("open", Span(BLOCK_BYTES, 2 * BLOCK_BYTES))]

    @pytest.mark.parametrize(
        "last",
        [
            pytest.param(1, id="the last byte"),
            pytest.param(1000, id="the last block"),
            pytest.param(1001, id="one byte of the block before"),
            pytest.param(BLOCK_BYTES + 1000, id="two blocks"),
            pytest.param(len(SMALL) - 1, id="all but a byte"),
            pytest.param(len(SMALL), id="all"),
            pytest.param(len(SMALL) + 1, id="more than there is"),
        ],
    )
    @pytest.mark.usefixtures("checksums")
    async def test_the_last_bytes_are_found_without_knowing_the_size(
        self, storage: Any, make_blocks: MakeBlocks, last: int
    ) -> None:
        blocks = make_blocks()
        stat = await blocks.begin("small", Span(-last))
        assert held(blocks, stat) == list(range(max(0, len(SMALL) - last) // BLOCK_BYTES, 3))
        assert blocks.held(stat, 2) == block_of(SMALL, 2)
        assert len(storage.asked) == 1

    async def test_a_range_past_the_end_costs_a_second_look_and_opens_nothing(
        self, storage: Any, make_blocks: MakeBlocks
    ) -> None:
        blocks = make_blocks()
        assert await blocks.begin("small", Span(10 * MIB, None)) == storage.stats["small"]
        assert (storage.count("open"), storage.count("stat"), storage.open_bodies) == (1, 1, 0)

    async def test_an_empty_file_has_facts_and_no_block(self, storage: Any, make_blocks: MakeBlocks) -> None:
        blocks = make_blocks()
        storage.put("empty", b"")
        stat = await blocks.begin("empty", WHOLE)
        assert (stat.size, held(blocks, stat)) == (0, [])
        await asyncio.sleep(0)
        assert storage.open_bodies == 0


async def test_closing_ends_what_is_under_way_and_gives_back_every_connection(
    storage: Any, make_blocks: MakeBlocks
) -> None:
    blocks, stat = make_blocks(), storage.stats["large"]
    await blocks.get(stat, 0, len(LARGE))  # parked
    storage.gate = asyncio.Event()
    waiting = asyncio.create_task(blocks.get(stat, 3, len(LARGE)))
    await asyncio.sleep(0.01)
    await blocks.aclose()
    with pytest.raises(BackendUnavailable, match="closed"):
        await waiting
    assert storage.open_bodies == 0
