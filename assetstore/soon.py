"""This module owns answers that take reading files: remembered, and never waited for on an event loop.

Asked from plain code, :class:`Soon` computes an answer there and then. Asked on an event loop
(a template that is rendered in a coroutine) it gives what it knows, and has one thread compute
what it does not: the page does without this once, and has it the next time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from assetstore.errors import AssetNotFound, BackendError
from assetstore.recent import Recent

_log = logging.getLogger("assetstore")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

#: How many answers are remembered, and how many may wait to be computed.
REMEMBERED = 10_000
WAITING = 2_000
#: How long a failure stands before it is tried again.
FAILED_SECONDS = 10.0


def on_event_loop() -> bool:
    """Whether the caller runs on an event loop, which must not be held up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Soon(Generic[_Key, _Value]):
    """Remembers what *compute* gives for each key; ``None`` where it cannot be had (yet).

    With *seconds*, an answer older than that is computed again; meanwhile an event loop has the
    old one. Storage faults are logged, and tried again after a while; other errors are the caller's.
    """

    def __init__(self, compute: Callable[[_Key], _Value | None], seconds: float = math.inf) -> None:
        self._compute = compute
        self._seconds = seconds
        self._known: Recent[_Key, tuple[_Value, float]] = Recent(REMEMBERED)
        self._failed: Recent[_Key, float] = Recent(REMEMBERED)
        self._waiting: deque[_Key] = deque(maxlen=WAITING)
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._process = os.getpid()

    def get(self, key: _Key) -> _Value | None:
        """What is known for *key*; computed first where nobody's event loop waits for it."""
        now = time.monotonic()
        known, fresh_until = self._known.get(key, (None, 0.0))
        if now < fresh_until or now < self._failed.get(key, 0.0):
            return known
        if on_event_loop():
            self._later(key)
            return known
        return self.now(key)

    def now(self, key: _Key) -> _Value | None:
        """Compute the answer for *key* here, whoever waits."""
        try:
            value = self._compute(key)
        except (AssetNotFound, BackendError) as error:
            _log.warning("cannot read what pages say of %s: %s", key, error)
            value = None
        with self._lock:
            if value is None:
                self._failed.keep(key, time.monotonic() + FAILED_SECONDS)
            else:
                self._known.keep(key, (value, time.monotonic() + self._seconds))
        return value

    def settle(self, seconds: float = 30.0) -> bool:
        """Wait until nothing is left to compute, for tests and at start-up; whether it came to that."""
        return self._idle.wait(seconds)

    def _later(self, key: _Key) -> None:
        if self._process != os.getpid():
            self._begin_in_fork()
        with self._lock:
            if key in self._waiting:
                return
            self._waiting.append(key)
            if self._idle.is_set():
                self._idle.clear()
                threading.Thread(target=self._work, name="assetstore-soon", daemon=True).start()

    def _begin_in_fork(self) -> None:
        """A fork has the queue but not the thread, and a lock that the thread may have held."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting.clear()
        self._idle.set()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._idle.set()
                    return
                key = self._waiting[0]
            try:
                self.now(key)
            except Exception:
                _log.exception("cannot compute what pages say of %s", key)
                with self._lock:
                    self._failed.keep(key, time.monotonic() + FAILED_SECONDS)
            with self._lock:
                self._waiting.remove(key)
