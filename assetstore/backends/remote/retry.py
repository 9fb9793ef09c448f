"""This module owns asking a storage that may fail: a deadline, a few attempts, and leave from the breaker."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from assetstore.backends.remote.breaker import Breaker, Pass
from assetstore.backends.remote.counters import Counters
from assetstore.backends.remote.deadline import Deadlines, Dispose
from assetstore.backends.remote.settings import RemoteLimits
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendError,
    BackendThrottled,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    VersionChanged,
)
from assetstore.util.background import Contact

#: The first pause is up to this long, and each further one up to twice the last.
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0

#: What another attempt may mend. Missing, forbidden, wrong credentials and a changed version stay so.
PASSING = (BackendUnavailable, BodyTruncated)


def pause_seconds(error: Exception, attempt: int, jitter: Callable[[], float] = random.random) -> float | None:
    """How long to wait after *attempt* (the first is 1) ended in *error*; ``None``: do not try again.

    The whole pause is drawn by lot, so that a fleet that failed together does not come back together.
    A storage that asks for a longer rest than we would take is obeyed: the client is told to come back.
    """
    if not isinstance(error, PASSING):
        return None
    pause = jitter() * min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        if error.retry_after_seconds > MAX_PAUSE_SECONDS:
            return None
        return max(pause, error.retry_after_seconds)
    return pause


T = TypeVar("T")

#: Answers that are no fault of the storage.
ANSWERS = (AssetNotFound, VersionChanged, RangeNotSatisfiable)

_log = logging.getLogger("assetstore.storage")


class Attempts:
    """Makes requests to one storage, and tells the breaker and the counters how they end.

    Args:
        label: how the log names the storage.
    """

    def __init__(
        self, label: str, limits: RemoteLimits, breaker: Breaker, counters: Counters, deadlines: Deadlines
    ) -> None:
        self.limits = limits
        self._label = label
        self._breaker = breaker
        self._counters = counters
        self._deadlines = deadlines

    async def ask(
        self, path: str, request: Callable[[], Coroutine[Any, Any, T]], dispose: Dispose[T] | None = None
    ) -> T:
        """Try until it works, the attempts are used up, or the time for all of them is over.

        Raises:
            BackendTimeout: it took too long.
            BackendUnavailable: also while the breaker is open; then nothing was asked.
            AssetStoreError: what *request* raised last.
        """
        ends = time.monotonic() + self.limits.total_seconds
        attempt = 1
        while True:
            try:
                return await self._attempt(path, request, dispose, ends - time.monotonic())
            except AssetStoreError as error:
                pause = pause_seconds(error, attempt)
                over = attempt >= self.limits.attempts or self._breaker.wait_seconds > 0
                if pause is None or over or time.monotonic() + pause >= ends:
                    raise
            await asyncio.sleep(pause)
            attempt += 1

    async def within(self, seconds: float, path: str, work: Coroutine[Any, Any, T]) -> T:
        """As :meth:`Deadlines.within`, for the parts of a body."""
        return await self._deadlines.within(seconds, path, work)

    def broke_off(self, error: BackendError) -> None:
        """A body that had begun did not end well."""
        self._report(Pass(), error)

    async def aclose(self) -> None:
        """Wait a moment for what is still ending."""
        await self._deadlines.aclose()

    async def _attempt(
        self,
        path: str,
        request: Callable[[], Coroutine[Any, Any, T]],
        dispose: Dispose[T] | None,
        left_seconds: float,
    ) -> T:
        given = self._admit(path)
        began = time.monotonic()
        self._counters.requests += 1
        try:
            seconds = min(left_seconds, self.limits.connect_seconds + self.limits.read_seconds)
            result = await self._deadlines.within(seconds, path, request(), dispose)
        except BaseException as error:
            self._report(given, error)
            raise
        finally:
            self._counters.seconds += time.monotonic() - began
        self._closes(given)
        return result

    def _admit(self, path: str) -> Pass:
        given = self._breaker.admit()
        if given is None:
            wait = self._breaker.wait_seconds
            message = f"{self._label} failed several times in a row and is left alone for another {wait:.1f} s"
            raise BackendUnavailable(f"{message}; the log tells how it failed", path=path)
        return given

    def _report(self, given: Pass, error: BaseException) -> None:
        if isinstance(error, ANSWERS):
            self._closes(given)
        elif isinstance(error, PASSING):
            self._counters.error(error)
            self._opens(given, error)
        elif isinstance(error, AssetStoreError):
            self._counters.error(error)  # forbidden, or credentials: an answer, if not a welcome one
            self._closes(given, error if isinstance(error, BackendCredentials) else None)
        else:
            self._breaker.abandoned(given)

    def _opens(self, given: Pass, error: BackendError) -> None:
        before = self._breaker.state
        wished = error.retry_after_seconds if isinstance(error, BackendThrottled) else None
        self._breaker.failed(given, wished)
        if self._breaker.state is not before:
            self._counters.contact = Contact(time.monotonic(), error)
            _log.error("%s is down and is left alone for now: %s", self._label, error, exc_info=error)

    def _closes(self, given: Pass, refusal: BackendCredentials | None = None) -> None:
        before = self._breaker.state
        self._counters.contact = Contact(time.monotonic(), refusal)
        self._breaker.succeeded(given)
        if self._breaker.state is not before:
            _log.warning("%s answers again", self._label)
