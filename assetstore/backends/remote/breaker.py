"""This module owns the circuit breaker: a storage that is down is left alone, and probed gently.

A run of faults opens it. While it is open no request goes out, but for one probe at a time once
the wait is over. Any success closes it; a probe that fails doubles the wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether requests go out."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to make one request; report its end to the breaker that gave it."""

    probe: bool = False


_FREE = Pass()


class Breaker:
    """Watches the outcome of every request to one storage.

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

    @property
    def state(self) -> State:
        return State.CLOSED if self._probe_at is None else State.OPEN

    @property
    def wait_seconds(self) -> float:
        """How long until a probe may go out; 0 when requests pass."""
        return 0.0 if self._probe_at is None else max(0.0, self._probe_at - self._clock())

    def admit(self) -> Pass | None:
        """Leave for one request; ``None`` while the storage is left alone."""
        if self._probe_at is None:
            return _FREE
        if self._probing or self._clock() < self._probe_at:
            return None
        self._probing = True
        return Pass(probe=True)

    def succeeded(self, given: Pass) -> None:
        """The storage answered, be it that the file is missing or forbidden."""
        self._run = 0
        self._wait = self._seconds
        self._probe_at = None
        self._probing = False

    def failed(self, given: Pass, retry_after_seconds: float | None = None) -> None:
        """The storage did not answer, or asked for fewer requests."""
        if self._probe_at is None:
            self._run += 1
            if self._run >= self._limit:
                self._open(retry_after_seconds)
        elif given.probe:
            self._probing = False
            self._wait = min(self._max_seconds, self._wait * 2)
            self._open(retry_after_seconds)

    def abandoned(self, given: Pass) -> None:
        """Nobody waited for the outcome."""
        if given.probe:
            self._probing = False

    def _open(self, retry_after_seconds: float | None) -> None:
        wait = self._wait * (1 + 0.25 * self._jitter())
        wished = min(retry_after_seconds or 0.0, self._max_seconds)
        self._probe_at = self._clock() + max(wait, wished)
