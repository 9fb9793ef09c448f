"""Serving from a bucket: one request each, every fault its own class, nothing left open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Callable, Iterator

import pytest

from assetstore.backends.base import WHOLE, Span
from assetstore.backends.reader import AsyncOpenFile, ThreadReader, reader_of
from assetstore.backends.s3.backend import S3Backend, open_url
from assetstore.backends.s3.reader import S3Reader
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendError,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    VersionChanged,
)
from servers.fault_proxy import FaultProxy
from servers.faults import (
    BROKEN,
    EXPIRED_TOKEN,
    FORBIDDEN,
    NOT_FOUND,
    REFUSE,
    RESET,
    SLOW_DOWN,
    WRONG_SECRET,
    Delay,
    ErrorAnswer,
    Fault,
    Meanwhile,
    Stall,
    Truncate,
)
from servers.s3 import S3Bucket

BODY = bytes(range(256)) * 8000  # 2 MB


@pytest.fixture
def behind(moto_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]) -> Iterator[tuple[S3Backend, FaultProxy]]:
    moto_bucket.put({"pre/a.bin": BODY, "pre/empty": b""})
    proxy = fault_proxy(moto_bucket.server.endpoint_url)
    options = {**moto_bucket.server.options, "endpoint_url": proxy.url, "attempts": 1, "read_timeout_seconds": 1.0}
    backend = open_url(f"{moto_bucket.url}/pre", options)
    yield backend, proxy
    backend.client.close()


async def read(reader: S3Reader, path: str = "a.bin", span: Span = WHOLE) -> bytes:
    opened = await reader.open(path, span)
    try:
        return await body(opened, *span.within(opened.stat.size))
    finally:
        await opened.aclose()


async def body(opened: AsyncOpenFile, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in opened.chunks(start, stop)])


def test_a_small_body_that_came_is_at_hand_and_a_part_of_it_is_not(behind: tuple[S3Backend, FaultProxy]) -> None:
    async def scenario() -> None:
        reader = S3Reader(behind[0], behind[0].thread_reader())
        opened = await reader.open("a.bin", Span(100, 200))
        async with asyncio.timeout(10):
            assert opened.buffered(100, 150) is None
            while (content := opened.buffered(100, 200)) is None:  # noqa: ASYNC110 (aiohttp tells nobody when)
                await asyncio.sleep(0.001)
        assert content == BODY[100:200]
        assert opened.buffered(100, 200) is None
        assert await body(opened, 100, 200) == BODY[100:200]  # by another request
        await opened.aclose()
        assert opened.buffered(100, 200) is None
        await reader.aclose()

    asyncio.run(scenario())


def seen(proxy: FaultProxy) -> list[tuple[str, str | None]]:
    return [(each.method, each.headers.get("Range")) for each in proxy.requests]


def sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for each in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(each.path).startswith("socket:")
    return count


def test_each_read_is_one_request(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        assert await read(reader) == BODY
        assert await read(reader, span=Span(5, 10)) == BODY[5:10]
        assert await read(reader, span=Span(-7)) == BODY[-7:]
        assert (await reader.stat("a.bin")).size == len(BODY)
        await reader.aclose()

    asyncio.run(scenario())
    assert seen(proxy) == [("GET", None), ("GET", "bytes=5-9"), ("GET", "bytes=-7"), ("HEAD", None)]


def test_later_parts_are_pinned_to_the_version_whose_facts_were_told(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        opened = await reader.open("a.bin", Span(0, 10))
        await body(opened, 0, 10)
        await body(opened, 1000, 1010)
        await opened.aclose()
        await reader.aclose()

    asyncio.run(scenario())
    assert proxy.requests[1].headers["If-Match"].startswith('"')


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NOT_FOUND, AssetNotFound),
        (FORBIDDEN, BackendForbidden),
        (EXPIRED_TOKEN, BackendCredentials),
        (WRONG_SECRET, BackendCredentials),
        (SLOW_DOWN, BackendThrottled),
        (BROKEN, BackendUnavailable),
        (REFUSE, BackendUnavailable),
        (RESET, BackendUnavailable),
        (Delay(3), BackendTimeout),
        (Truncate(100_000), BodyTruncated),
        (Stall(100_000), BackendTimeout),
    ],
    ids=lambda value: getattr(value, "code", type(value).__name__) if isinstance(value, Fault) else value.__name__,
)
def test_each_fault_is_its_own(behind: tuple[S3Backend, FaultProxy], fault: Fault, kind: type[BackendError]) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        proxy.use(fault)
        with pytest.raises(kind) as caught:
            await read(reader)
        assert type(caught.value) is kind
        proxy.heal()
        assert await read(reader) == BODY
        await reader.aclose()

    asyncio.run(scenario())


def test_refused_credentials_are_looked_up_afresh_once(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        proxy.use(EXPIRED_TOKEN, times=1)
        assert await read(reader) == BODY
        await reader.aclose()

    asyncio.run(scenario())
    assert seen(proxy) == [("GET", None)] * 2


def test_a_bucket_that_moved_is_found_again(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        proxy.use(ErrorAnswer(301, "PermanentRedirect"), times=1)
        assert await read(reader) == BODY
        await reader.aclose()

    asyncio.run(scenario())
    assert [each.method for each in proxy.requests] == ["GET", "HEAD", "GET"]


def test_an_object_replaced_between_two_parts_is_never_mixed(
    behind: tuple[S3Backend, FaultProxy], moto_bucket: S3Bucket
) -> None:
    backend, proxy = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        opened = await reader.open("a.bin", Span(0, 10))
        await body(opened, 0, 10)
        moto_bucket.put({"pre/a.bin": b"x" * len(BODY)})
        with pytest.raises(VersionChanged):
            await body(opened, 10, 20)
        await opened.aclose()
        await reader.aclose()

    asyncio.run(scenario())


def test_an_object_replaced_in_mid_body_is_the_old_one_or_an_error(
    behind: tuple[S3Backend, FaultProxy], moto_bucket: S3Bucket
) -> None:
    backend, proxy = behind
    proxy.use(Meanwhile(lambda: moto_bucket.put({"pre/a.bin": b"x"}), after=1))

    async def scenario() -> bytes | None:
        reader = S3Reader(backend, backend.thread_reader())
        try:
            return await read(reader)
        except BackendError:
            return None
        finally:
            await reader.aclose()

    assert asyncio.run(scenario()) in {BODY, None}


def test_a_reader_works_on_one_event_loop_after_another_and_leaves_nothing_open(
    behind: tuple[S3Backend, FaultProxy],
) -> None:
    backend, _ = behind
    reader = S3Reader(backend, backend.thread_reader())
    for _ in range(2):  # what the client keeps for itself
        asyncio.run(read(reader))
    gc.collect()
    before = sockets()
    for _ in range(5):
        assert asyncio.run(read(reader)) == BODY  # no aclose: the loop's end is enough
    gc.collect()
    assert sockets() <= before


def test_a_reader_who_leaves_gives_the_connection_up(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, _ = behind

    async def scenario() -> None:
        reader = S3Reader(backend, backend.thread_reader())
        await read(reader)
        before = sockets()
        for _ in range(10):
            opened = await reader.open("a.bin")
            async for _chunk in opened.chunks(0, len(BODY)):
                break
            await opened.aclose()
            await opened.aclose()
        for _ in range(300):  # the proxy stands in this process, and notices a little later
            if sockets() <= before:
                break
            await asyncio.sleep(0.01)
        assert sockets() <= before
        await reader.aclose()

    asyncio.run(scenario())


def test_a_mount_may_choose_threads(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, _ = behind
    assert isinstance(reader_of(backend), S3Reader)
    threads = S3Backend("b", options=type(backend.options)(reader="threads"))
    assert isinstance(reader_of(threads), ThreadReader)
