"""A coroutine runs until it waits for the first time, and on from there."""

from __future__ import annotations

import asyncio

import pytest

from assetstore.backends.remote.deadline import Done, Waiting, begin

pytestmark = pytest.mark.anyio


async def test_what_does_not_wait_is_done() -> None:
    async def work() -> int:
        return 7

    assert begin(work()) == Done(7)


async def test_what_is_raised_before_the_first_wait_is_raised_at_once() -> None:
    async def work() -> int:
        raise KeyError("a")

    with pytest.raises(KeyError):
        begin(work())


async def test_what_waits_goes_on_from_there() -> None:
    async def work() -> list[int]:
        done = [1]
        await asyncio.sleep(0)
        done.append(2)
        await asyncio.sleep(0.001)
        return [*done, 3]

    begun = begin(work())
    assert isinstance(begun, Waiting)
    assert await begun == [1, 2, 3]


async def test_an_error_in_what_it_waits_for_reaches_it() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await future
        except ValueError as error:
            await asyncio.sleep(0)
            return str(error)
        return ""

    begun = begin(work())
    assert isinstance(begun, Waiting)
    future.set_exception(ValueError("told"))
    assert await begun == "told"


async def test_cancelling_who_waits_cancels_it() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    begun = begin(work())
    assert isinstance(begun, Waiting)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await begun
    assert ended == [True]
