"""An object's body as it arrives: the bytes of one version, the ones that were asked for, and none that were not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from assetstore.backends.base import Span
from assetstore.backends.http import received_part, stat_of
from assetstore.backends.ranged import Download, RangedFile, open_ranged
from assetstore.backends.s3.reader import _S3Body, translate_fault
from assetstore.errors import AssetStoreError, BackendTimeout, BackendUnavailable, BodyTruncated, VersionChanged

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4
LABEL = "s3://bucket"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Answer:
    """An answer over aiohttp's own stream, into which a test feeds the bytes."""

    status = 206

    def __init__(self, start: int, stop: int, etag: str = "v1") -> None:
        loop = asyncio.get_running_loop()
        self.content = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
        self.headers = CIMultiDict(
            {
                "Content-Range": f"bytes {start}-{stop - 1}/{len(DATA)}",
                "ETag": f'"{etag}"',
                "Content-Length": str(stop - start),
            }
        )
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def feed(self, content: bytes, *, end: bool = True) -> Answer:
        self.content.feed_data(content)
        if end:
            self.content.feed_eof()
        return self


def started(answer: Answer, path: str = "a.bin") -> Download:
    """The download of an answer whose head has arrived."""
    stat = stat_of(path, answer.headers)
    return Download(stat, received_part(answer.headers, stat.size), _S3Body(answer, path, LABEL))  # type: ignore[arg-type]


class Bucket:
    """Answers spans, and keeps every answer."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[Span, str | None]] = []
        #: Which bytes an answer to a span brings; and the version that they are of.
        self.brings: Callable[[Span], tuple[int, int]] = lambda span: span.within(len(DATA))
        self.etag = "v1"

    async def fetch(self, path: str, span: Span, validator: str | None) -> Download:
        self.asked.append((span, validator))
        start, stop = self.brings(span)
        answer = Answer(start, stop, self.etag).feed(DATA[start:stop])
        self.answers.append(answer)
        return started(answer, path)

    async def open(self, span: Span) -> RangedFile:
        return await open_ranged(self.fetch, "a.bin", span, None)


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    bucket = Bucket()
    yield bucket
    assert all(answer.closed for answer in bucket.answers), "every answer is closed in the end"


async def body(opened: RangedFile, start: int, stop: int) -> bytes:
    try:
        return b"".join([chunk async for chunk in opened.chunks(start, stop)])
    finally:
        await opened.aclose()


async def test_the_bytes_that_were_asked_for_need_no_other_request(bucket: Bucket) -> None:
    assert await body(await bucket.open(Span(10, 500)), 10, 500) == DATA[10:500]
    assert bucket.asked == [(Span(10, 500), None)]


async def test_others_are_asked_for_and_pinned_to_the_version(bucket: Bucket) -> None:
    opened = await bucket.open(Span(10, 500))
    assert await body(opened, 600, 700) == DATA[600:700]
    assert bucket.asked[1:] == [(Span(600, 700), "v1")]


async def test_no_byte_comes_after_the_last_one_that_was_wanted(bucket: Bucket) -> None:
    opened = await bucket.open(Span(0, 500))
    assert b"".join([chunk async for chunk in opened.chunks(0, 3)]) == DATA[:3]
    assert b"".join([chunk async for chunk in opened.chunks(3, 500)]) == DATA[3:500]
    assert len(bucket.asked) == 1
    await opened.aclose()


async def test_a_server_that_sends_all_whatever_was_asked_is_read_from_where_it_matters(bucket: Bucket) -> None:
    bucket.brings = lambda span: (0, len(DATA))
    assert await body(await bucket.open(Span(600, 700)), 600, 700) == DATA[600:700]


@pytest.mark.parametrize("shift", [1, 5, 15], ids=["in the middle of them", "at their end", "past them"])
async def test_bytes_that_begin_after_the_ones_asked_for_are_not_taken_for_them(bucket: Bucket, shift: int) -> None:
    bucket.brings = lambda span: (span.start + shift, span.start + shift + 100)
    with pytest.raises(BodyTruncated, match=f"'a.bin' came from byte {10 + shift} on, and not from 10"):
        await body(await bucket.open(Span(0, 1)), 10, 15)


async def test_another_version_is_not_read_on(bucket: Bucket) -> None:
    opened = await bucket.open(Span(0, 10))
    bucket.etag = "v2"
    with pytest.raises(VersionChanged, match="replaced"):
        await body(opened, 600, 700)


async def test_a_body_that_ends_early_is_truncated_and_closed(bucket: Bucket) -> None:
    answer = Answer(0, 100).feed(DATA[:60])
    opened = RangedFile(bucket.fetch, started(answer))
    with pytest.raises(BodyTruncated, match="broke off after 60 bytes"):
        await body(opened, 0, 100)
    assert answer.closed


async def test_a_fault_on_the_way_is_ours(bucket: Bucket) -> None:
    answer = Answer(0, 100).feed(DATA[:60], end=False)
    opened = RangedFile(bucket.fetch, started(answer))
    chunks = opened.chunks(0, 100)
    assert await anext(chunks) == DATA[:60]
    answer.content.set_exception(aiohttp.ClientPayloadError("cut"))
    with pytest.raises(BodyTruncated, match="s3://bucket failed on 'a.bin': ClientPayloadError: cut"):
        await anext(chunks)
    assert answer.closed


class TestAtHand:
    async def test_all_that_came_is_here(self, bucket: Bucket) -> None:
        opened = await bucket.open(Span(10, 500))
        assert opened.buffered(10, 500) == DATA[10:500]
        assert opened.buffered(10, 500) is None
        await opened.aclose()
        assert opened.buffered(10, 500) is None

    async def test_a_part_of_it_is_not(self, bucket: Bucket) -> None:
        opened = await bucket.open(Span(10, 500))
        assert opened.buffered(10, 499) is None
        assert await body(opened, 10, 500) == DATA[10:500]

    async def test_what_is_still_on_its_way_is_not(self, bucket: Bucket) -> None:
        answer = Answer(0, 100).feed(DATA[:60], end=False)
        opened = RangedFile(bucket.fetch, started(answer))
        assert opened.buffered(0, 100) is None
        answer.feed(DATA[60:100])
        assert opened.buffered(0, 100) == DATA[:100]
        await opened.aclose()

    async def test_what_came_too_short_is_not_and_reading_it_tells(self, bucket: Bucket) -> None:
        answer = Answer(0, 100).feed(DATA[:60])
        opened = RangedFile(bucket.fetch, started(answer))
        assert opened.buffered(0, 100) is None
        with pytest.raises(BodyTruncated):
            await body(opened, 0, 100)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (TimeoutError(), BackendTimeout),
        (aiohttp.ServerTimeoutError(), BackendTimeout),
        (aiohttp.ClientPayloadError("x"), BodyTruncated),
        (aiohttp.ClientConnectionError("x"), BackendUnavailable),
        (ConnectionResetError("x"), BackendUnavailable),
        (OSError("x"), BackendUnavailable),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_each_fault_has_its_class(fault: BaseException, kind: type[AssetStoreError]) -> None:
    error: Any = translate_fault(fault, "a.bin", LABEL)
    assert type(error) is kind
    assert error.path == "a.bin"
