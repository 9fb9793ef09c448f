"""One opened file of an fsspec filesystem keeps the promises of an open file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assetstore.backends.base import FileStat, OpenFile
from assetstore.backends.fsspec.backend import CHUNK_BYTES, FilesystemFile
from assetstore.errors import BackendUnavailable, BodyTruncated

CONTENT = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"the end"


@contextmanager
def errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendUnavailable(f"on {path}") from error


@pytest.fixture
def file(tmp_path: Path) -> Iterator[io.BufferedReader]:
    (tmp_path / "film.bin").write_bytes(CONTENT)
    with open(tmp_path / "film.bin", "rb") as opened:
        yield opened


def opened(file: object, size: int = len(CONTENT)) -> OpenFile:
    return FilesystemFile(errors, FileStat("film.bin", size), file)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, len(CONTENT)), (5, 10), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (len(CONTENT) - 1, len(CONTENT)), (7, 7), (9, 3)],
)
def test_chunks_are_a_slice(file: io.BufferedReader, start: int, stop: int) -> None:
    assert b"".join(opened(file).chunks(start, stop)) == CONTENT[start:stop]


def test_no_chunk_is_larger_than_one_read(file: io.BufferedReader) -> None:
    assert [len(chunk) for chunk in opened(file).chunks(0, len(CONTENT))] == [CHUNK_BYTES, CHUNK_BYTES, 7]


def test_two_who_read_one_file_in_turn_do_not_disturb_each_other(file: io.BufferedReader) -> None:
    film = opened(file)
    one, other = film.chunks(0, len(CONTENT)), film.chunks(CHUNK_BYTES, len(CONTENT))
    assert (next(one), next(other), next(one)) == (
        CONTENT[:CHUNK_BYTES],
        CONTENT[CHUNK_BYTES : 2 * CHUNK_BYTES],
        CONTENT[CHUNK_BYTES : 2 * CHUNK_BYTES],
    )


def test_a_file_that_ends_early_is_truncated(file: io.BufferedReader) -> None:
    with pytest.raises(BodyTruncated, match=f"'film.bin' ended after {len(CONTENT)} bytes"):
        list(opened(file, len(CONTENT) + 1).chunks(0, len(CONTENT) + 1))


def test_a_memory_file_is_the_one_that_was_opened_whatever_becomes_of_it() -> None:
    shared = io.BytesIO(b"the old text")
    held = opened(shared, 12)
    shared.seek(0)
    shared.write(b"another text")
    assert b"".join(held.chunks(0, 12)) == b"the old text"
    held.close()
    assert shared.getvalue() == b"another text"


def test_what_the_filesystem_raises_is_translated() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("the disk is on fire")

    with pytest.raises(BackendUnavailable, match=r"on film\.bin"):
        list(opened(Broken()).chunks(0, 5))


def test_closing_closes_the_file_and_twice_does_no_harm(file: io.BufferedReader) -> None:
    film = opened(file)
    film.close()
    film.close()
    assert file.closed
