"""The disk_store: facts and blocks of one mount on disk, written in the background and found again."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import CacheFacts, FileStat
from assetstore.backends.remote.disk import FOLDER, THREADS, WAITING_WRITES, DiskCache, DiskStore

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024

APP = FileStat("css/grüße 1.css", 12, mtime_ns=5, validator="v1", sha256="ab" * 32, fingerprint="f", coding="gzip")
VERSION = ("css/grüße 1.css", "v1", 12, None)


@pytest.fixture
def make_disk_store(tmp_path: Path) -> Callable[..., DiskStore]:
    """``make_disk_store(label)`` is what another process or mount would have in the same directory."""
    return lambda label="s3://bucket/a": DiskStore(label, DiskCache(tmp_path, 64 * MIB))


@pytest.fixture
def disk_store(make_disk_store: Callable[..., DiskStore]) -> DiskStore:
    return make_disk_store()


class BusyDisk(DiskCache):
    """Its writes wait until they may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 64 * MIB)
        self.free = threading.Event()
        self.lock = threading.Lock()
        self.writing = 0

    def put(self, key: str, content: bytes) -> None:
        with self.lock:
            self.writing += 1
        self.free.wait(30)
        super().put(key, content)

    async def is_writing(self, count: int) -> None:
        """Wait until so many threads are."""
        async with asyncio.timeout(30):
            while self.writing < count:  # noqa: ASYNC110 - the threads tell nobody
                await asyncio.sleep(0.005)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[BusyDisk]:
    disk = BusyDisk(tmp_path)
    yield disk
    disk.free.set()


def key_files(path: Path) -> list[Path]:
    return [each for each in (path / FOLDER / "keys").rglob("*") if each.is_file()]


class TestFacts:
    async def test_all_that_is_known_of_a_file_is_found_again(
        self, disk_store: DiskStore, make_disk_store: Any
    ) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        found = await make_disk_store().metadata(APP.path)
        assert found is not None
        assert found[0] == APP

    async def test_how_a_cache_came_by_them_is_no_part_of_them(self, disk_store: DiskStore) -> None:
        disk_store.keep_metadata(APP.through(CacheFacts("stale", 60)))
        await disk_store.aclose()
        found = await disk_store.metadata(APP.path)
        assert found is not None
        assert found[0].cache is None

    async def test_what_was_never_kept_is_nowhere(self, disk_store: DiskStore) -> None:
        assert await disk_store.metadata(APP.path) is None

    async def test_another_mount_does_not_see_them(self, disk_store: DiskStore, make_disk_store: Any) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        assert await make_disk_store("s3://bucket/b").metadata(APP.path) is None

    async def test_their_age_is_how_long_ago_they_were_last_confirmed(
        self, disk_store: DiskStore, tmp_path: Path
    ) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        (file,) = key_files(tmp_path)
        os.utime(file, (time.time() - 100, time.time() - 100))
        assert await self.age_seconds(disk_store) == pytest.approx(100, abs=5)
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        assert await self.age_seconds(disk_store) == pytest.approx(0, abs=5)

    async def test_to_confirm_them_writes_nothing(self, disk_store: DiskStore, tmp_path: Path) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        (before,) = [each.stat().st_ino for each in key_files(tmp_path)]
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        assert [each.stat().st_ino for each in key_files(tmp_path)] == [before]

    async def test_newer_ones_take_their_place(self, disk_store: DiskStore) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        disk_store.keep_metadata(newer := FileStat(APP.path, 13, validator="v2"))
        await disk_store.aclose()
        found = await disk_store.metadata(APP.path)
        assert found is not None
        assert found[0] == newer

    async def test_what_is_dropped_is_gone(self, disk_store: DiskStore) -> None:
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        disk_store.drop(APP.path)
        await disk_store.aclose()
        assert await disk_store.metadata(APP.path) is None

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"\xff\xfe", id="no text"),
            pytest.param(b"{", id="no JSON"),
            pytest.param(b"[1, 2]", id="no object"),
            pytest.param(b'{"path": "a.css"}', id="too few facts"),
            pytest.param(json.dumps({**asdict(APP), "mood": "good"}).encode(), id="a fact that we do not know"),
        ],
    )
    async def test_the_format_of_another_release_is_a_miss(
        self, disk_store: DiskStore, tmp_path: Path, content: bytes
    ) -> None:
        DiskCache(tmp_path, 64 * MIB).put(disk_store._metadata_key(APP.path), content)
        assert await disk_store.metadata(APP.path) is None
        disk_store.keep_metadata(APP)
        await disk_store.aclose()
        assert await disk_store.metadata(APP.path) is not None

    async def age_seconds(self, disk_store: DiskStore) -> float:
        found = await disk_store.metadata(APP.path)
        assert found is not None
        return found[1]


class TestBlocks:
    async def test_a_block_is_found_again(self, disk_store: DiskStore, make_disk_store: Any) -> None:
        disk_store.keep_block(VERSION, 3, b"block three")
        await disk_store.aclose()
        assert await make_disk_store().block(VERSION, 3) == b"block three"

    async def test_an_empty_one_too(self, disk_store: DiskStore) -> None:
        disk_store.keep_block(VERSION, 0, b"")
        await disk_store.aclose()
        assert await disk_store.block(VERSION, 0) == b""

    @pytest.mark.parametrize(
        ("version", "number"),
        [
            pytest.param(VERSION, 2, id="another number"),
            pytest.param(("css/other.css", "v1", 12, None), 3, id="another path"),
            pytest.param((VERSION[0], "v2", 12, None), 3, id="another validator"),
            pytest.param((VERSION[0], None, 12, None), 3, id="no validator"),
            pytest.param((VERSION[0], "v1", 13, None), 3, id="another size"),
            pytest.param((VERSION[0], "v1", 12, 5), 3, id="another modified time"),
        ],
    )
    async def test_no_other_block_is_taken_for_it(self, disk_store: DiskStore, version: Any, number: int) -> None:
        disk_store.keep_block(VERSION, 3, b"block three")
        await disk_store.aclose()
        assert await disk_store.block(version, number) is None
        assert not await disk_store.holds(version, [number])

    async def test_a_validator_that_reads_like_none_is_one(self, disk_store: DiskStore) -> None:
        disk_store.keep_block((VERSION[0], None, 12, 5), 3, b"block three")
        await disk_store.aclose()
        assert await disk_store.block((VERSION[0], None, 12, 5), 3) == b"block three"
        assert await disk_store.block((VERSION[0], "None", 12, 5), 3) is None

    async def test_another_mount_does_not_see_it(self, disk_store: DiskStore, make_disk_store: Any) -> None:
        disk_store.keep_block(VERSION, 3, b"block three")
        await disk_store.aclose()
        assert await make_disk_store("s3://bucket/b").block(VERSION, 3) is None

    async def test_all_of_several_are_held_or_they_are_not(self, disk_store: DiskStore) -> None:
        for number in (0, 1):
            disk_store.keep_block(VERSION, number, b"x")
        await disk_store.aclose()
        assert await disk_store.holds(VERSION, range(2))
        assert not await disk_store.holds(VERSION, range(3))
        assert await disk_store.holds(VERSION, [])

    async def test_what_is_dropped_is_gone_and_the_others_are_not(self, disk_store: DiskStore) -> None:
        for number in range(4):
            disk_store.keep_block(VERSION, number, b"x")
        await disk_store.aclose()
        disk_store.drop_blocks(VERSION, range(1, 3))
        await disk_store.aclose()
        assert [await disk_store.holds(VERSION, [number]) for number in range(4)] == [True, False, False, True]


class TestWaiting:
    async def test_who_keeps_something_does_not_wait_for_the_disk(self, busy: BusyDisk) -> None:
        disk_store = DiskStore("s3://bucket/a", busy)
        disk_store.keep_block(VERSION, 0, b"x")
        assert busy.writing == 0
        await busy.is_writing(1)

    async def test_closing_waits_for_what_is_being_written(self, busy: BusyDisk, make_disk_store: Any) -> None:
        disk_store = DiskStore("s3://bucket/a", busy)
        disk_store.keep_block(VERSION, 0, b"x")
        disk_store.keep_metadata(APP)
        asyncio.get_running_loop().call_later(0.05, busy.free.set)
        await disk_store.aclose()
        assert await make_disk_store().block(VERSION, 0) == b"x"
        assert await make_disk_store().metadata(APP.path) is not None

    async def test_closing_with_nothing_to_write_is_at_once(self, disk_store: DiskStore) -> None:
        await asyncio.wait_for(disk_store.aclose(), 1)

    async def test_it_writes_in_a_few_threads(self, busy: BusyDisk) -> None:
        disk_store = DiskStore("s3://bucket/a", busy)
        for number in range(3 * THREADS):
            disk_store.keep_block(VERSION, number, b"x")
        await busy.is_writing(THREADS)
        await asyncio.sleep(0.02)
        assert busy.writing == THREADS
        busy.free.set()
        await disk_store.aclose()

    async def test_a_block_that_would_wait_behind_too_many_is_not_kept(
        self, busy: BusyDisk, make_disk_store: Any
    ) -> None:
        disk_store = DiskStore("s3://bucket/a", busy)
        for number in range(WAITING_WRITES + 5):
            disk_store.keep_block(VERSION, number, b"x")
        busy.free.set()
        await disk_store.aclose()
        assert [
            await make_disk_store().holds(VERSION, [number]) for number in (WAITING_WRITES - 1, WAITING_WRITES)
        ] == [
            True,
            False,
        ]
        disk_store.keep_block(VERSION, WAITING_WRITES, b"x")
        await disk_store.aclose()
        assert await make_disk_store().holds(VERSION, range(WAITING_WRITES + 1))

    async def test_blocks_that_are_only_now_being_written_are_dropped_as_well(
        self, busy: BusyDisk, make_disk_store: Any
    ) -> None:
        disk_store = DiskStore("s3://bucket/a", busy)
        for number in range(2 * THREADS):
            disk_store.keep_block(VERSION, number, b"garbled")
        await busy.is_writing(THREADS)
        disk_store.drop_blocks(VERSION, range(2 * THREADS))
        await asyncio.sleep(0.02)
        busy.free.set()
        await disk_store.aclose()
        assert [await make_disk_store().block(VERSION, number) for number in range(2 * THREADS)] == [None] * 2 * THREADS
