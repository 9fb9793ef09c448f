"""Deadlines, even for work that cannot be cancelled.

A call in a thread cannot be cancelled, and what it opens would leak. So it runs in a task of its
own: at the deadline the caller goes on, and the task ends by itself and closes what it opened.
Work that can be cancelled is, which costs a timer instead of a task; and not even that where it
does not wait at all, as for a small body that arrived with its headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from assetstore.errors import BackendTimeout

T = TypeVar("T")


@dataclass(slots=True)  # not frozen, which takes three times as long to make
class Done(Generic[T]):
    """The result of a coroutine that did not wait."""

    value: T


class Waiting(Generic[T]):
    """A coroutine that waits for something; awaiting this continues it."""

    __slots__ = ("_awaited", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
        awaited = self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except BaseException as error:
                    awaited = self._work.throw(error)
                else:
                    awaited = self._work.send(sent)
        except StopIteration as done:
            value: T = done.value
            return value


def begin(work: Coroutine[Any, Any, T]) -> Done[T] | Waiting[T]:
    """Run *work* until it ends or waits; what it raises until then is raised here."""
    try:
        return Waiting(work, work.send(None))
    except StopIteration as done:
        return Done(done.value)


#: How long work may go on after its deadline, in seconds, before it is cancelled.
GRACE_SECONDS = 30.0

#: Closes a result that nobody waits for any more.
Dispose = Callable[[T], Awaitable[None]]


class Timeouts:
    """Runs work with a deadline, and keeps what outlived it until it has ended.

    Args:
        label: how errors name the storage.
        interruptible: whether cancelling the work ends it at once and closes what it opened.
    """

    def __init__(self, label: str, *, interruptible: bool = False) -> None:
        self._label = label
        self.interruptible = interruptible
        self._late: dict[asyncio.Task[None], asyncio.Task[Any]] = {}

    async def within(
        self, seconds: float, path: str, work: Coroutine[Any, Any, T], dispose: Dispose[T] | None = None
    ) -> T:
        """The result of *work*; *path* is for the message.

        Raises:
            BackendTimeout: it took longer than *seconds*.
        """
        if self.interruptible:
            begun = begin(work)
            if isinstance(begun, Done):
                return begun.value
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    return await begun
            except TimeoutError:
                raise self._too_long(seconds, path) from None
        task = asyncio.create_task(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
        except asyncio.CancelledError:
            self._leave(task, dispose)
            raise
        if not done:
            self._leave(task, dispose)
            raise self._too_long(seconds, path)
        return task.result()

    async def aclose(self) -> None:
        """Wait a second for what is still running, then cancel it; threads may outlast that."""
        if self._late:
            await asyncio.wait(self._late, timeout=1)
            for work in self._late.values():
                work.cancel()
        if self._late:
            await asyncio.wait(self._late, timeout=1)

    def _too_long(self, seconds: float, path: str) -> BackendTimeout:
        return BackendTimeout(f"{self._label} did not go on with {path!r} within {seconds:.1f} s", path=path)

    def _leave(self, task: asyncio.Task[T], dispose: Dispose[T] | None) -> None:
        ending = asyncio.create_task(_end(task, dispose))
        self._late[ending] = task
        ending.add_done_callback(self._late.pop)


async def _end(task: asyncio.Task[T], dispose: Dispose[T] | None) -> None:
    await asyncio.wait({task}, timeout=GRACE_SECONDS)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None and dispose is not None:
        with suppress(Exception):
            await dispose(task.result())
