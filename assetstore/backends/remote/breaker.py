"""A circuit breaker: no requests to a storage that is down, but for one probe at a time.

A number of faults in a row opens it. While it is open nothing passes until the wait is over; then
one request may probe. Any success closes it; a probe that fails doubles the wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


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
