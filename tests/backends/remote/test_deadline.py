"""Waiting ends in time, whether or not the work can be interrupted."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from assetstore.backends.remote.deadline import Timeouts
from assetstore.errors import AssetNotFound, BackendTimeout


async def quick() -> str:
    await asyncio.sleep(0)
    return "done"


async def failing() -> str:
    raise AssetNotFound("a.css")


@pytest.mark.parametrize("interruptible", [False, True])
def test_work_that_ends_in_time_gives_what_it_has(interruptible: bool) -> None:
    async def scenario() -> None:
        deadlines = Timeouts("s3://bucket", interruptible=interruptible)
        assert await deadlines.within(5, "a.css", quick()) == "done"
        with pytest.raises(AssetNotFound):
            await deadlines.within(5, "a.css", failing())

    asyncio.run(scenario())


@pytest.mark.parametrize("interruptible", [False, True])
def test_work_that_takes_too_long_is_a_timeout_and_is_ended(interruptible: bool) -> None:
    ended = []

    async def endless() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return ""

    async def scenario() -> None:
        deadlines = Timeouts("s3://bucket", interruptible=interruptible)
        with pytest.raises(BackendTimeout, match=r"s3://bucket did not go on with 'a\.css'"):
            await deadlines.within(0.02, "a.css", endless())
        await deadlines.aclose()
        assert ended == [True]

    asyncio.run(scenario())


def test_what_is_opened_too_late_for_anybody_is_closed() -> None:
    closed = []

    async def open_late() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(0.02)
        return "opened"

    async def dispose(opened: str) -> None:
        closed.append(opened)

    async def scenario() -> None:
        deadlines = Timeouts("s3://bucket")
        began = time.monotonic()
        with pytest.raises(BackendTimeout):
            await deadlines.within(0.02, "a.css", open_late(), dispose)
        assert time.monotonic() - began < 5
        await deadlines.aclose()
        assert closed == ["opened"]

    asyncio.run(scenario())


@pytest.mark.parametrize("interruptible", [False, True])
def test_a_client_that_leaves_ends_its_wait_at_once(interruptible: bool) -> None:
    async def scenario() -> None:
        deadlines = Timeouts("s3://bucket", interruptible=interruptible)
        waiting = asyncio.create_task(deadlines.within(60, "a.css", asyncio.sleep(60, "")))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await deadlines.aclose()

    asyncio.run(scenario())
