"""Any sync backend, lifted: the same verbs, in a bounded number of threads, and nothing left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, Backend, FileStat, OpenFile, Span
from assetstore.backends.reader import MAX_THREADS, HasReader, ThreadReader, reader_of
from assetstore.errors import AssetNotFound, BodyTruncated, VersionChanged
from waiting import eventually

pytestmark = pytest.mark.anyio

CONTENT = b"0123456789" * 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Slow:
    """A backend of one file, that counts who is in it; each call waits for ``gate``."""

    label, remote = "slow://", True

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.lock = threading.Lock()
        self.inside = self.most_inside = self.open_files = 0
        self.asked: list[tuple[Any, ...]] = []
        self.threads: set[int] = set()
        self.ends_at = len(CONTENT)
        self.closed = 0

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.threads.add(threading.get_ident())
        self.gate.wait(10)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1

    def stat(self, path: str) -> FileStat:
        with self:
            if path != "film.bin":
                raise AssetNotFound(path)
            return FileStat(path, len(CONTENT), validator="v1")

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        self.asked.append((path, span, validator))
        stat = self.stat(path)
        if validator not in (None, "v1"):
            raise VersionChanged(path)
        return SlowFile(self, stat)

    def walk(self) -> Iterator[FileStat]:
        yield self.stat("film.bin")

    def close(self) -> None:
        self.closed += 1


class SlowFile:
    def __init__(self, backend: Slow, stat: FileStat) -> None:
        self.stat = stat
        self._backend = backend
        backend.open_files += 1
        self.ended = False

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        try:
            for at in range(start, stop, 7):
                with self._backend:
                    if at >= self._backend.ends_at:
                        raise BodyTruncated(self.stat.path)
                    yield CONTENT[at : min(at + 7, stop)]
        finally:
            self.ended = True

    def close(self) -> None:
        self._backend.open_files -= 1


@pytest.fixture
def slow() -> Iterator[Slow]:
    backend = Slow()
    yield backend
    backend.gate.set()


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (5, 6), (7, 7), (93, 100)])
async def test_chunks_are_a_slice(slow: Slow, start: int, stop: int) -> None:
    opened = await ThreadReader(slow).open("film.bin")
    assert opened.stat == FileStat("film.bin", 100, validator="v1")
    assert b"".join([chunk async for chunk in opened.chunks(start, stop)]) == CONTENT[start:stop]
    await opened.aclose()
    assert slow.open_files == 0


async def test_the_verbs_have_the_same_arguments_and_errors(slow: Slow) -> None:
    reader = ThreadReader(slow)
    assert await reader.stat("film.bin") == FileStat("film.bin", 100, validator="v1")
    await (await reader.open("film.bin", Span(5, 9), validator="v1")).aclose()
    assert slow.asked == [("film.bin", Span(5, 9), "v1")]
    with pytest.raises(AssetNotFound):
        await reader.stat("other.bin")
    with pytest.raises(AssetNotFound):
        await reader.open("other.bin")
    with pytest.raises(VersionChanged):
        await reader.open("film.bin", validator="v2")


async def test_a_body_that_breaks_off_says_so_and_is_ended(slow: Slow) -> None:
    slow.ends_at = 14
    opened = await ThreadReader(slow).open("film.bin")
    chunks = opened.chunks(0, 100)
    assert [await anext(chunks), await anext(chunks)] == [CONTENT[:7], CONTENT[7:14]]
    with pytest.raises(BodyTruncated):
        await anext(chunks)
    await opened.aclose()
    assert slow.open_files == 0


async def test_who_stops_reading_ends_the_file_s_own_reading(slow: Slow) -> None:
    opened = await ThreadReader(slow).open("film.bin")
    chunks: Any = opened.chunks(0, 100)
    assert await anext(chunks) == CONTENT[:7]
    await chunks.aclose()
    assert opened._opened.ended  # type: ignore[attr-defined]
    await opened.aclose()


async def test_what_is_opened_for_a_request_that_is_gone_is_closed(slow: Slow) -> None:
    """The thread cannot be stopped: it opens the file when the storage answers at last."""
    slow.gate.clear()
    opening = asyncio.create_task(ThreadReader(slow).open("film.bin"))
    await asyncio.to_thread(eventually, lambda: slow.inside)
    opening.cancel()
    slow.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await asyncio.to_thread(eventually, lambda: not slow.inside and not slow.open_files)
    assert slow.asked


async def test_the_loop_goes_on_while_the_backend_waits(slow: Slow) -> None:
    slow.gate.clear()
    waiting = asyncio.create_task(ThreadReader(slow).stat("film.bin"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    slow.gate.set()
    assert (await waiting).size == 100
    assert threading.get_ident() not in slow.threads


@pytest.mark.parametrize("most", [1, 3, MAX_THREADS])
async def test_no_more_threads_than_that_are_in_the_backend(slow: Slow, most: int) -> None:
    slow.gate.clear()
    reader = ThreadReader(slow, max_threads=most)
    asking = [asyncio.create_task(reader.stat("film.bin")) for _ in range(2 * MAX_THREADS)]
    while slow.inside < most:  # noqa: ASYNC110 - the threads tell nobody
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    slow.gate.set()
    await asyncio.gather(*asking)
    assert slow.most_inside == most


async def test_closing_closes_what_is_kept_open_between_calls(slow: Slow) -> None:
    await ThreadReader(slow).aclose()
    assert slow.closed == 1


async def test_a_backend_that_keeps_nothing_open_has_nothing_to_close() -> None:
    class Plain:
        label, remote = "plain://", False

    await ThreadReader(Plain()).aclose()  # type: ignore[arg-type]


async def test_a_client_that_leaves_does_not_keep_its_file_open(slow: Slow) -> None:
    opened = await ThreadReader(slow).open("film.bin")

    async def serve() -> None:
        try:
            async for _ in opened.chunks(0, 100):
                await asyncio.Event().wait()
        finally:
            await opened.aclose()

    serving = asyncio.create_task(serve())
    await asyncio.sleep(0.05)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert slow.open_files == 0


async def test_where_the_bytes_are_on_this_machine_is_passed_on(slow: Slow) -> None:
    opened: Any = await ThreadReader(slow).open("film.bin")
    assert opened.real_path is None
    opened._opened.real_path = "/srv/film.bin"
    assert opened.real_path == "/srv/film.bin"
    await opened.aclose()


def test_a_backend_with_a_reader_of_its_own_is_read_by_that(slow: Slow) -> None:
    own = ThreadReader(slow)

    class Native(Slow):
        def reader(self) -> ThreadReader:
            return own

    assert reader_of(Native()) is own
    assert isinstance(Native(), HasReader)
    assert isinstance(slow, Backend)
    assert isinstance(reader_of(slow), ThreadReader)
