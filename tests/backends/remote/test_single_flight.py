"""Single flight: what many ask for at once is asked for once."""

from __future__ import annotations

import asyncio

import pytest

from assetstore.backends.remote.single_flight import SingleFlight, StillRunning
from assetstore.errors import BackendUnavailable

pytestmark = pytest.mark.anyio


class Work:
    def __init__(self) -> None:
        self.runs = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        number = self.runs
        await self.gate.wait()
        return number


async def test_a_hundred_are_one() -> None:
    flights: SingleFlight[int] = SingleFlight(1)
    work = Work()
    asking = [asyncio.create_task(flights.run("key", work)) for _ in range(100)]
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(*asking) == [1] * 100
    assert len(flights) == 0


async def test_another_key_is_another_flight() -> None:
    flights: SingleFlight[int] = SingleFlight(1)
    work = Work()
    work.gate.set()
    assert await asyncio.gather(flights.run("a", work), flights.run("b", work)) == [1, 2]


async def test_all_learn_of_a_fault_and_the_next_tries_anew() -> None:
    flights: SingleFlight[int] = SingleFlight(1)

    async def fail() -> int:
        await asyncio.sleep(0)
        raise BackendUnavailable("down")

    results = await asyncio.gather(*[flights.run("key", fail) for _ in range(3)], return_exceptions=True)
    assert [str(each) for each in results] == ["down"] * 3
    work = Work()
    work.gate.set()
    assert await flights.run("key", work) == 1


async def test_work_goes_on_when_all_who_asked_have_left() -> None:
    flights: SingleFlight[int] = SingleFlight(1)
    work = Work()
    asking = asyncio.create_task(flights.run("key", work))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0)
    assert flights.joins("key")
    work.gate.set()
    assert await flights.run("key", work) == 1


async def test_who_has_something_else_to_give_does_not_wait_longer_than_its_patience() -> None:
    flights: SingleFlight[int] = SingleFlight(60)
    work = Work()
    with pytest.raises(StillRunning):
        await flights.run("key", work, patience_seconds=0.01)
    assert flights.joins("key")
    await flights.aclose()
    assert len(flights) == 0


async def test_after_a_leave_work_begins_anew() -> None:
    flights: SingleFlight[int] = SingleFlight(60)
    work = Work()
    early = asyncio.create_task(flights.run("key", work))
    await asyncio.sleep(0)
    flights.leave()
    late = asyncio.create_task(flights.run("key", work))
    await asyncio.sleep(0)
    work.gate.set()
    assert (await early, await late) == (1, 2)


def test_work_of_an_event_loop_that_has_ended_is_not_waited_for() -> None:
    flights: SingleFlight[int] = SingleFlight(60)

    async def leave_behind() -> None:
        with pytest.raises(StillRunning):
            await flights.run("key", Work(), patience_seconds=0.001)

    async def ask() -> int:
        work = Work()
        work.gate.set()
        return await flights.run("key", work)

    asyncio.run(leave_behind())
    assert asyncio.run(ask()) == 1
