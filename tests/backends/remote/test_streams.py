"""Bodies that are read piece by piece, and parked between their blocks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from assetstore.backends.base import FileStat, Span
from assetstore.backends.remote.streams import Stream, Streams
from assetstore.errors import BodyTruncated

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 1000


async def stream_of(storage: Any, start: int = 0) -> Stream:
    if "film.bin" not in storage.stats:
        storage.put("film.bin", CONTENT)
    return Stream(await storage.open("film.bin", Span(start, None)), start, len(CONTENT))


async def test_blocks_come_one_after_the_other(storage: Any) -> None:
    stream = await stream_of(storage)
    assert await stream.take(0, 1000) == CONTENT[:1000]
    assert await stream.take(500, 100_000) == CONTENT[1500:101_500]
    assert stream.at == 101_500
    await stream.aclose()
    assert storage.open_bodies == 0


async def test_a_body_that_ends_early_is_no_block(storage: Any) -> None:
    stream = await stream_of(storage, start=len(CONTENT) - 10)
    with pytest.raises(BodyTruncated, match="early"):
        await stream.take(0, 11)
    await stream.aclose()


async def test_the_last_block_is_given_out_only_if_all_bytes_were_right(storage: Any) -> None:
    storage.checksums = storage.garbled = True
    stream = await stream_of(storage)
    await stream.take(0, 1000)
    with pytest.raises(BodyTruncated, match="SHA-256"):
        await stream.take(0, len(CONTENT) - 1000)
    await stream.aclose()


class Here:
    """An opened file whose bytes all came with its headers."""

    def __init__(self, content: bytes, sha256: str | None = None) -> None:
        self.stat = FileStat("a.css", len(content), sha256=sha256)
        self._content = content

    def buffered(self, start: int, stop: int) -> bytes | None:
        return self._content[start:stop]

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        raise AssertionError("nothing is left to read")

    async def aclose(self) -> None:
        pass


async def test_what_is_here_already_is_taken_without_reading() -> None:
    stream = Stream(Here(b"0123456789", hashlib.sha256(b"0123456789").hexdigest()), 0, 10)
    assert stream.take_rest() == b"0123456789"
    assert stream.at == stream.stop
    await stream.aclose()


async def test_what_is_here_already_is_checked_as_well() -> None:
    with pytest.raises(BodyTruncated, match="SHA-256"):
        Stream(Here(b"garbled", "0" * 64), 0, 7).take_rest()


async def test_what_has_to_be_waited_for_is_not_taken_at_once(storage: Any) -> None:
    stream = await stream_of(storage)
    assert stream.take_rest() is None
    assert await stream.take(0, 10) == CONTENT[:10]
    await stream.aclose()


async def test_closing_that_does_not_wait_needs_no_task(storage: Any) -> None:
    streams = Streams(4, 60, at_once=True)
    streams.discard(await stream_of(storage))
    assert storage.open_bodies == 0


async def test_closing_that_waits_after_all_goes_on_by_itself(storage: Any) -> None:
    streams = Streams(4, 60, at_once=True)
    stream = await stream_of(storage)
    gate = asyncio.Event()
    close = stream.opened.aclose

    async def slowly() -> None:
        await gate.wait()
        await close()

    stream.opened.aclose = slowly  # type: ignore[method-assign]
    streams.discard(stream)
    assert storage.open_bodies == 1
    gate.set()
    await streams.aclose()
    assert storage.open_bodies == 0


async def test_whoever_wants_the_next_block_goes_on_with_a_parked_stream(storage: Any) -> None:
    streams = Streams(4, 60)
    stream = await stream_of(storage)
    version = stream.opened.stat.version
    streams.enter(version)
    await stream.take(0, 1000)
    streams.park(stream)
    assert streams.take(version, 999) is None
    assert streams.take(version, 1000) is stream
    assert streams.take(version, 1000) is None
    await stream.aclose()


async def test_the_last_client_that_leaves_closes_what_is_parked(storage: Any) -> None:
    streams = Streams(4, 60)
    stream = await stream_of(storage)
    version = stream.opened.stat.version
    streams.enter(version)
    streams.enter(version)
    streams.park(stream)
    streams.leave(version)
    assert len(streams) == 1
    streams.leave(version)
    await streams.aclose()
    assert storage.open_bodies == 0


async def test_a_stream_at_its_end_is_not_parked(storage: Any) -> None:
    streams = Streams(4, 60)
    stream = await stream_of(storage)
    await stream.take(0, len(CONTENT))
    streams.park(stream)
    assert len(streams) == 0
    await streams.aclose()
    assert storage.open_bodies == 0


def test_a_stream_of_an_event_loop_that_has_ended_is_not_read_on(storage: Any) -> None:
    streams = Streams(4, 60)

    async def park() -> Stream:
        stream = await stream_of(storage)
        streams.park(stream)
        return stream

    async def take(stream: Stream) -> Stream | None:
        return streams.take(stream.opened.stat.version, 0)

    stream = asyncio.run(park())
    assert asyncio.run(take(stream)) is None
