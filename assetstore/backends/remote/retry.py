"""Requests to a storage that may fail: deadlines, retries with backoff, and the circuit breaker.

What an error says decides what it does. That a file is missing, or another version by now, is an
answer. Silence, a 5xx, throttling and refused credentials say something about the storage as a
whole, and are what the breaker counts. Everything else (forbidden, a redirect, a body that broke
off, headers that make no sense) is about one file: it is counted, but one odd file never closes a
mount. Since a 5xx may also be about one file only, the breaker opens, and closes again, by a probe
of a file that was read before, where there is one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from assetstore.backends.base import Outcome
from assetstore.backends.remote import RemoteLimits
from assetstore.backends.remote.deadline import Dispose, Timeouts
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    UnexpectedResponse,
    VersionChanged,
)
from assetstore.util import backoff_seconds
from assetstore.util.background import Contact


@dataclass(frozen=True, slots=True)
class Counts:
    """A snapshot of the counters."""

    #: Answered from a cache.
    hits: int = 0
    #: Answered by a request to the storage.
    misses: int = 0
    #: Answered by a request that another client had begun.
    coalesced: int = 0
    #: Answered with a stale version, since the storage failed.
    stale: int = 0
    #: Requests to the storage, every attempt counted.
    requests: int = 0
    #: Seconds spent on those requests until their first bytes.
    seconds: float = 0.0
    #: Errors of the storage by class name; a missing file is none.
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Counters:
    """The counters of one mount, shared by its readers."""

    def __init__(self) -> None:
        self._outcomes: dict[str, int] = {}
        #: Outcome of the last request that says whether the storage works; ``None`` before the first.
        self.contact: Contact | None = None
        self.requests = 0
        self.seconds = 0.0
        self._errors: dict[str, int] = {}

    def count(self, outcome: Outcome) -> None:
        """Count an answer."""
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def error(self, error: BaseException) -> None:
        """Count an error under the name of its class."""
        name = type(error).__name__
        self._errors[name] = self._errors.get(name, 0) + 1

    def counts(self) -> Counts:
        """A snapshot."""
        return Counts(
            hits=self._outcomes.get("hit", 0),
            misses=self._outcomes.get("miss", 0),
            coalesced=self._outcomes.get("collapsed", 0),
            stale=self._outcomes.get("stale", 0),
            requests=self.requests,
            seconds=self.seconds,
            errors=MappingProxyType(dict(self._errors)),
        )


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to send one request; its outcome is reported to the breaker that gave it."""

    probe: bool = False


_FREE = Permit()


class Breaker:
    """Counts the outcomes of the requests to one storage.

    Args:
        faults: how many in a row open it.
        seconds: the first wait before a probe; *max_seconds* the longest.
        clock: monotonic seconds.
        jitter: a number from 0 to 1, so that a fleet does not probe in step.
    """

    def __init__(
        self,
        faults: int,
        seconds: float,
        max_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limit = faults
        self._seconds = seconds
        self._max_seconds = max(seconds, max_seconds)
        self._clock = clock
        self._jitter = jitter
        self._run = 0
        self._wait = seconds
        self._probe_at: float | None = None
        self._probing = False
        #: Whether faults reached the limit, but a probe of a file known to exist has yet to confirm them.
        self._suspect = False

    @property
    def is_open(self) -> bool:
        """Whether requests are refused."""
        return self._probe_at is not None

    @property
    def wait_seconds(self) -> float:
        """Seconds until a probe may go out; 0 when requests pass."""
        return 0.0 if self._probe_at is None else max(0.0, self._probe_at - self._clock())

    def admit(self) -> Permit | None:
        """Permission for one request; ``None`` while none may go out."""
        if self._suspect and not self._probing:
            self._probing = True
            return Permit(probe=True)
        if self._probe_at is None:
            return _FREE
        if self._probing or self._clock() < self._probe_at:
            return None
        self._probing = True
        return Permit(probe=True)

    def succeeded(self, given: Permit) -> None:
        """The storage answered, be it that the file is missing."""
        self._run = 0
        self._wait = self._seconds
        self._probe_at = None
        self._probing = self._suspect = False

    def failed(self, given: Permit, retry_after_seconds: float | None = None, *, confirm: bool = False) -> None:
        """The storage did not answer, or asked for fewer requests.

        Args:
            confirm: do not open before a probe has failed too: the caller knows a file to probe,
                and these faults may be of other files only.
        """
        if given.probe:
            self._probing = False
            if self._suspect:
                self._suspect = False
            else:
                self._wait = min(self._max_seconds, self._wait * 2)
            self._open(retry_after_seconds)
        elif self._probe_at is None and not self._suspect:
            self._run += 1
            if self._run >= self._limit:
                if confirm:
                    self._suspect = True
                else:
                    self._open(retry_after_seconds)

    def abandoned(self, given: Permit) -> None:
        """Nobody waited for the outcome, or it says nothing of the storage."""
        if given.probe:
            self._probing = False

    def _open(self, retry_after_seconds: float | None) -> None:
        wait = self._wait * (1 + 0.25 * self._jitter())
        wished = min(retry_after_seconds or 0.0, self._max_seconds)
        self._probe_at = self._clock() + max(wait, wished)


#: The first pause is up to this long, in seconds, and each further one up to twice the last.
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0

#: What another attempt may mend. Missing, forbidden, wrong credentials and a changed version stay so.
PASSING = (BackendUnavailable, BodyTruncated)
#: Answers that are no fault of the storage.
ANSWERS = (AssetNotFound, VersionChanged, RangeNotSatisfiable)
#: What says that the storage as a whole does not work.
OUTAGES = (BackendUnavailable, BackendCredentials)

#: Files that were read and may be probed.
GOOD_FILES = 4

T = TypeVar("T")

_log = logging.getLogger("assetstore.storage")


def pause_seconds(error: Exception, attempt: int, jitter: Callable[[], float] = random.random) -> float | None:
    """How long to wait after *attempt* (the first is 1) ended in *error*; ``None``: do not try again.

    A storage that asks for a longer pause than ``MAX_PAUSE_SECONDS`` is obeyed by not trying again.
    """
    if not isinstance(error, PASSING):
        return None
    pause = backoff_seconds(attempt, FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, jitter=jitter)
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        if error.retry_after_seconds > MAX_PAUSE_SECONDS:
            return None
        return max(pause, error.retry_after_seconds)
    return pause


class Retrier:
    """Sends requests to one storage, and reports their outcomes to the breaker and the counters.

    Args:
        label: how the log names the storage.
        probe: requests a path, and returns if the storage could send it.
    """

    def __init__(
        self,
        label: str,
        limits: RemoteLimits,
        breaker: Breaker,
        counters: Counters,
        timeouts: Timeouts,
        probe: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        self.limits = limits
        self._label = label
        self._breaker = breaker
        self._counters = counters
        self._timeouts = timeouts
        self._probe = probe
        #: The files that were sent last, and the one that was requested last.
        self._good: deque[str] = deque(maxlen=GOOD_FILES)
        self._last: str | None = None

    async def run(
        self,
        path: str,
        request: Callable[[], Coroutine[Any, Any, T]],
        dispose: Dispose[T] | None = None,
        *,
        is_head: bool = False,
    ) -> T:
        """Try until it works, the attempts are used up, or the time for all of them is over.

        Args:
            is_head: whether a 404 has no body to say whether the file or the whole bucket is missing.

        Raises:
            BackendTimeout: it took too long.
            BackendUnavailable: also while the breaker is open; then nothing was sent.
            AssetStoreError: what *request* raised last.
        """
        self._last = path
        result = await self._run(path, request, dispose, is_head)
        if path not in self._good:
            self._good.append(path)
        return result

    async def probe(self, path: str) -> None:
        """Find out whether the storage works, by files that were sent before; else by *path*, missing or not.

        Raises:
            AssetStoreError: it does not work, or the breaker refuses requests.
        """
        for candidate in dict.fromkeys([*reversed(self._good), path, self._last or path]):
            try:
                await self._run(candidate, lambda candidate=candidate: self._probe(candidate))  # type: ignore[misc]
            except OUTAGES as error:
                if not self._breaker.is_open:
                    self._counters.contact = Contact(time.monotonic(), error)
                raise
            except AssetNotFound:
                if candidate == path:
                    return
            except AssetStoreError:
                continue  # refused, or nonsense: of this file only, if another one can be read
            else:
                return

    async def within(self, seconds: float, path: str, work: Coroutine[Any, Any, T]) -> T:
        """As :meth:`Timeouts.within`, for the parts of a body."""
        return await self._timeouts.within(seconds, path, work)

    def broke_off(self, path: str, error: AssetStoreError) -> None:
        """Report that the body of *path* had begun and did not end well."""
        self._report(Permit(), path, error)

    async def aclose(self) -> None:
        """Wait shortly for what is still ending."""
        await self._timeouts.aclose()

    @property
    def _once_seconds(self) -> float:
        return self.limits.connect_seconds + self.limits.read_seconds

    async def _run(
        self,
        path: str,
        request: Callable[[], Coroutine[Any, Any, T]],
        dispose: Dispose[T] | None = None,
        is_head: bool = False,
    ) -> T:
        ends = time.monotonic() + self.limits.total_seconds
        attempt = 1
        while True:
            try:
                permit = await self._permit(path)
                return await self._attempt(permit, path, request, dispose, ends - time.monotonic(), is_head)
            except AssetStoreError as error:
                pause = pause_seconds(error, attempt)
                over = attempt >= self.limits.attempts or self._breaker.wait_seconds > 0
                if pause is None or over or time.monotonic() + pause >= ends:
                    raise
            await asyncio.sleep(pause)
            attempt += 1

    async def _permit(self, path: str) -> Permit:
        permit = self._breaker.admit()
        if permit is None:
            wait = self._breaker.wait_seconds
            message = f"{self._label} failed several times in a row and is left alone for another {wait:.1f} s"
            raise BackendUnavailable(f"{message}; the log tells how it failed", path=path)
        if not permit.probe or not self._good:
            return permit
        good = self._good[-1]
        with suppress(*ANSWERS, BackendForbidden, UnexpectedResponse, BodyTruncated):  # reported already
            await self._attempt(permit, good, lambda: self._probe(good), None, self._once_seconds)
        return self._breaker.admit() or permit

    async def _attempt(
        self,
        permit: Permit,
        path: str,
        request: Callable[[], Coroutine[Any, Any, T]],
        dispose: Dispose[T] | None,
        left_seconds: float,
        is_head: bool = False,
    ) -> T:
        began = time.monotonic()
        self._counters.requests += 1
        try:
            seconds = min(left_seconds, self._once_seconds)
            result = await self._timeouts.within(seconds, path, request(), dispose)
        except BaseException as error:
            self._report(permit, path, error, is_head)
            raise
        finally:
            self._counters.seconds += time.monotonic() - began
        self._works(permit)
        return result

    def _report(self, permit: Permit, path: str, error: BaseException, is_head: bool = False) -> None:
        if isinstance(error, AssetNotFound) and (is_head or path in self._good):
            # It may be the whole bucket that is gone: this says nothing of the storage.
            if path in self._good:
                self._good.remove(path)
            self._breaker.abandoned(permit)
            return
        if isinstance(error, ANSWERS):
            self._works(permit)
            return
        if not isinstance(error, AssetStoreError):
            self._breaker.abandoned(permit)
            return
        self._counters.error(error)
        if isinstance(error, OUTAGES):
            self._fails(permit, error)
        elif isinstance(error, BackendForbidden):
            self._closes(permit)
        else:
            self._breaker.abandoned(permit)
        if isinstance(error, BackendCredentials):
            self._counters.contact = Contact(time.monotonic(), error)
        elif not isinstance(error, PASSING):
            self._refused(path, error)

    def _refused(self, path: str, error: AssetStoreError) -> None:
        """One file is refused, or answered with nonsense; the storage is, if nothing else can be read."""
        if path in self._good:
            self._good.remove(path)
        elif path != self._last:
            return  # made up for a probe: that it is forbidden may mean that it is missing
        if not self._good:
            self._counters.contact = Contact(time.monotonic(), error)

    def _fails(self, permit: Permit, error: AssetStoreError) -> None:
        before = self._breaker.is_open
        wished = error.retry_after_seconds if isinstance(error, BackendThrottled) else None
        self._breaker.failed(permit, wished, confirm=bool(self._good))
        if self._breaker.is_open and not before:
            self._counters.contact = Contact(time.monotonic(), error)
            _log.error("%s is down and is left alone for now: %s", self._label, error, exc_info=error)

    def _works(self, permit: Permit) -> None:
        self._counters.contact = Contact(time.monotonic())
        self._closes(permit)

    def _closes(self, permit: Permit) -> None:
        before = self._breaker.is_open
        self._breaker.succeeded(permit)
        if before:
            _log.warning("%s answers again", self._label)
