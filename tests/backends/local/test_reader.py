"""Serving a directory: on the event loop while the page cache holds the bytes, in a thread when it does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.local import reader as local_reader
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.local.reader import PIECE_BYTES, LocalReader, is_network_filesystem, reader_for
from assetstore.backends.reader import ThreadReader, reader_of
from assetstore.errors import AssetNotFound, BodyTruncated

DATA = bytes(range(256)) * 4096  # a megabyte
needs_the_flag = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux tells what its cache holds")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data.bin").write_bytes(DATA)
    return tmp_path


def gives_up_the_loop(reading: Coroutine[Any, Any, list[bytes]]) -> tuple[bool, bytes]:
    """Whether anything else could run before *reading* was done; and the bytes."""

    async def run() -> tuple[bool, bytes]:
        others: list[bool] = []
        asyncio.get_running_loop().call_soon(others.append, True)
        read = b"".join(await reading)
        return bool(others), read

    return asyncio.run(run())


async def whole(reader: LocalReader | ThreadReader, start: int = 0, stop: int = len(DATA)) -> list[bytes]:
    opened = await reader.open("data.bin")
    try:
        return [chunk async for chunk in opened.chunks(start, stop)]
    finally:
        await opened.aclose()


def forget_the_bytes(file: Path) -> bool:
    """Have the system drop the file from its cache; whether it did."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.preadv(descriptor, [bytearray(1)], len(DATA) // 2, os.RWF_NOWAIT)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_a_directory_brings_its_own_reader(root: Path) -> None:
    assert isinstance(reader_of(LocalBackend(root)), LocalReader)


@needs_the_flag
def test_bytes_in_the_page_cache_are_read_without_giving_up_the_loop(root: Path) -> None:
    (root / "data.bin").read_bytes()
    assert gives_up_the_loop(whole(LocalReader(LocalBackend(root)))) == (False, DATA)


def test_a_file_is_read_in_pieces_of_bounded_size(root: Path) -> None:
    pieces = asyncio.run(whole(LocalReader(LocalBackend(root))))
    assert [len(piece) for piece in pieces] == [PIECE_BYTES] * (len(DATA) // PIECE_BYTES)


@needs_the_flag
def test_bytes_that_are_not_in_the_page_cache_are_read_in_a_thread(root: Path) -> None:
    if not forget_the_bytes(root / "data.bin"):
        pytest.skip("this file system keeps its files in memory")
    assert gives_up_the_loop(whole(LocalReader(LocalBackend(root)))) == (True, DATA)


def test_without_the_flag_everything_is_read_in_threads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_reader, "_NO_WAIT", 0)
    assert gives_up_the_loop(whole(LocalReader(LocalBackend(root)))) == (True, DATA)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (5, 5), (len(DATA) - 1, len(DATA)), (PIECE_BYTES - 1, PIECE_BYTES + 1), (1000, 700_000)],
)
def test_a_part_is_a_slice(root: Path, start: int, stop: int) -> None:
    assert b"".join(asyncio.run(whole(LocalReader(LocalBackend(root)), start, stop))) == DATA[start:stop]


def test_two_files_read_in_turn_do_not_share_their_bytes(root: Path) -> None:
    (root / "other.bin").write_bytes(b"other" * 100)

    async def both() -> tuple[bytes, bytes]:
        reader = LocalReader(LocalBackend(root))
        one, other = await reader.open("data.bin"), await reader.open("other.bin")
        first = aiter(one.chunks(0, 100))
        piece = await anext(first)
        rest = b"".join([chunk async for chunk in other.chunks(0, 500)])
        await one.aclose()
        await other.aclose()
        return piece, rest

    assert asyncio.run(both()) == (DATA[:100], b"other" * 100)


def test_a_file_that_shrinks_while_it_is_read_is_truncated(root: Path) -> None:
    async def read() -> None:
        opened = await LocalReader(LocalBackend(root)).open("data.bin")
        try:
            async for _ in opened.chunks(0, len(DATA)):
                os.truncate(root / "data.bin", 10)
        finally:
            await opened.aclose()

    with pytest.raises(BodyTruncated, match="shrank"):
        asyncio.run(read())


@pytest.fixture
def reader(root: Path) -> LocalReader:
    (root / "data.bin").read_bytes()
    return LocalReader(LocalBackend(root))


def open_beneath(root: Path) -> int:
    """How many descriptors this process has of files beneath *root*."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one of the listing itself
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum(link.startswith(str(root.resolve())) for link in links)


@needs_the_flag
def test_a_missing_file_is_missing(root: Path) -> None:
    with pytest.raises(AssetNotFound):
        asyncio.run(LocalReader(LocalBackend(root)).open("missing.css"))


@pytest.mark.parametrize(
    ("kind", "far"), [("ext4", False), ("overlay", False), ("tmpfs", False), ("nfs4", True), ("fuse.sshfs", True)]
)
def test_a_network_file_system_is_far(tmp_path: Path, kind: str, far: bool) -> None:
    place = str(tmp_path.resolve()).replace(" ", "\\040")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nother {place}/else nfs rw 0 0\nserver:/export {place} {kind} rw 0 0\n")
    assert is_network_filesystem(str(tmp_path / "assets" / "css"), str(mounts)) is far


def test_a_directory_of_unknown_kind_is_read_on_the_loop(root: Path) -> None:
    assert not is_network_filesystem(str(root), str(root / "no such list"))
    assert isinstance(reader_for(LocalBackend(root), str(root)), LocalReader)


def test_a_far_directory_is_read_in_threads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_reader, "is_network_filesystem", lambda directory: True)
    assert isinstance(reader_for(LocalBackend(root), str(root)), ThreadReader)
