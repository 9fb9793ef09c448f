"""This module owns running a coroutine until it waits for the first time.

What need not wait is then done, and has cost neither a timer nor a task.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)  # not frozen, which takes three times as long to make
class Done(Generic[T]):
    """What a coroutine returned that did not wait."""

    value: T


class Waiting(Generic[T]):
    """A coroutine that waits for something. Await this once, to go on with it."""

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
