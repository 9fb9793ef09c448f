"""This module owns single flight: what many ask for at once is asked for once.

The work runs in a task of its own, so no client that leaves takes it away from the others. One
who finds it under way waits a bounded time for it, and then goes alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from assetstore.errors import BackendUnavailable

T = TypeVar("T")


class StillFlying(Exception):
    """The work was not done within the time that the caller had for it; it goes on."""


class Flights(Generic[T]):
    """Work under way, by what it is for.

    Args:
        wait_seconds: how long to wait for work that another began.
    """

    def __init__(self, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._flights: dict[Hashable, asyncio.Task[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def joins(self, key: Hashable) -> bool:
        """Whether work for *key* is under way that a caller would wait for."""
        task = self._flights.get(key)
        # One of another event loop can neither be awaited here nor ever end, if that loop has.
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    async def run(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], *, patience_seconds: float | None = None
    ) -> T:
        """What *work* returns, or what the same work of another did.

        Args:
            key: what the work is for.
            patience_seconds: how long this caller can wait at all, where it has something else to give.

        Raises:
            StillFlying: its patience is at an end.
            BackendUnavailable: :meth:`aclose` ended the work.
        """
        joined = self.joins(key)
        task = self._flights[key] if joined else self._begin(key, work)
        if not joined and patience_seconds is None:
            await _ended(task)
            return _outcome(task)
        wait = self._wait_seconds if patience_seconds is None else patience_seconds
        done, _ = await asyncio.wait({task}, timeout=wait)
        if done:
            return _outcome(task)
        if patience_seconds is not None:
            raise StillFlying
        return await work()

    def leave(self) -> None:
        """Whoever comes from now on begins anew; what is under way goes on for those who wait."""
        self._flights.clear()

    async def aclose(self) -> None:
        """Cancel all that is under way."""
        tasks, self._tasks = self._tasks, set()
        self._flights.clear()
        here = [task for task in tasks if task.get_loop() is asyncio.get_running_loop()]
        for task in here:
            task.cancel()
        if here:
            await asyncio.wait(here, timeout=1)

    def _begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        task = asyncio.create_task(work())
        self._flights[key] = task
        self._tasks.add(task)

        def end(ended: asyncio.Task[T]) -> None:
            self._tasks.discard(ended)
            if self._flights.get(key) is ended:
                self._flights.pop(key, None)  # another thread may have been told to forget
            if not ended.cancelled():
                ended.exception()  # so that one whom nobody waited for is not reported as lost

        task.add_done_callback(end)
        return task


async def _ended(task: asyncio.Task[Any]) -> None:
    """Wait for *task* as ``asyncio.wait`` does, at a third of its cost; who is cancelled leaves it running."""
    waiter: asyncio.Future[None] = task.get_loop().create_future()

    def wake(ended: asyncio.Task[Any]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    await waiter


def _outcome(task: asyncio.Task[T]) -> T:
    if task.cancelled():
        raise BackendUnavailable("the mount was closed while its storage was being asked")
    error = task.exception()
    if error is not None:
        raise error.with_traceback(None)  # each of many waiters would else add its frames to it
    return task.result()
