"""Request coalescing: concurrent callers that want the same share one request.

The work runs in a task of its own, so a client that leaves does not cancel it for the others. A
caller that joins waits a bounded time, and then makes a request of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from assetstore.errors import BackendUnavailable

T = TypeVar("T")


class StillRunning(Exception):
    """The work took longer than the caller waits; it goes on."""


class SingleFlight(Generic[T]):
    """Running work by key.

    Args:
        wait_seconds: how long to wait for work that another caller began.
    """

    def __init__(self, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def joins(self, key: Hashable) -> bool:
        """Whether :meth:`run` would join work that is running."""
        task = self._running.get(key)
        # A task of another event loop cannot be awaited here, and never ends if that loop has ended.
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    async def run(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], *, patience_seconds: float | None = None
    ) -> T:
        """The result of *work*, or of the running work for the same *key*.

        Args:
            patience_seconds: how long this caller waits at most, where it can serve something else.

        Raises:
            StillRunning: *patience_seconds* are over.
            BackendUnavailable: :meth:`aclose` ended the work.
        """
        joined = self.joins(key)
        task = self._running[key] if joined else self._begin(key, work)
        if not joined and patience_seconds is None:
            await _ended(task)
            return _outcome(task)
        wait = self._wait_seconds if patience_seconds is None else patience_seconds
        done, _ = await asyncio.wait({task}, timeout=wait)
        if done:
            return _outcome(task)
        if patience_seconds is not None:
            raise StillRunning
        return await work()

    def leave(self) -> None:
        """Callers from now on begin anew; what is running goes on for those who wait."""
        self._running.clear()

    async def aclose(self) -> None:
        """Cancel all running work."""
        tasks, self._tasks = self._tasks, set()
        self._running.clear()
        here = [task for task in tasks if task.get_loop() is asyncio.get_running_loop()]
        for task in here:
            task.cancel()
        if here:
            await asyncio.wait(here, timeout=1)

    def _begin(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        task = asyncio.create_task(work())
        self._running[key] = task
        self._tasks.add(task)

        def end(ended: asyncio.Task[T]) -> None:
            self._tasks.discard(ended)
            if self._running.get(key) is ended:
                self._running.pop(key, None)  # leave() may run in another thread
            if not ended.cancelled():
                ended.exception()  # or asyncio reports it as never retrieved

        task.add_done_callback(end)
        return task


async def _ended(task: asyncio.Task[Any]) -> None:
    """Wait for *task* as ``asyncio.wait`` does, at a third of its cost; cancelling this leaves it running."""
    waiter: asyncio.Future[None] = task.get_loop().create_future()

    def wake(ended: asyncio.Task[Any]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    await waiter


def _outcome(task: asyncio.Task[T]) -> T:
    if task.cancelled():
        raise BackendUnavailable("the mount was closed during a request to its storage")
    error = task.exception()
    if error is not None:
        raise error.with_traceback(None)  # else each waiter adds its frames to it
    return task.result()
