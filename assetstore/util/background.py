"""This module owns work that is done again and again in one thread, and ends with its owner."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import Generic, TypeVar
from weakref import WeakMethod

from assetstore.errors import AssetNotFound, AssetStoreError, BackendError
from assetstore.util.lru import Recent

#: The longest that a thread sleeps without being woken.
LONGEST_SECONDS = 3600.0


class Background:
    """Repeats a bound method in a daemon thread; it returns how many seconds to sleep after it.

    The owner is held weakly, so dropping it ends the thread. A process that was forked has no
    threads of its parent's: there :meth:`start` begins anew.
    """

    def __init__(self, work: Callable[[], float], name: str) -> None:
        self._work = weakref.WeakMethod(work)
        self._name = name
        self._lock = threading.Lock()
        self._wake = threading.Event()
        #: Whether the thread of this process was started; looked at with every use, so it is no question to the system.
        self._started = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_begin_anew, weakref.ref(self)))

    def start(self) -> None:
        """Begin, unless it runs already; cheap enough to be called with every use."""
        if not self._started:
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
            self._wake = threading.Event()
            # The owner's end wakes the thread, which then finds no owner and ends too.
            if (method := self._work()) is not None:
                weakref.finalize(method.__self__, self._wake.set).atexit = False  # type: ignore[attr-defined]
            threading.Thread(target=_run, args=(self._work, self._wake), name=self._name, daemon=True).start()

    def wake(self) -> None:
        """Do the work soon."""
        self.start()
        self._wake.set()

    def begin_anew(self) -> None:
        """After a fork: no thread runs here, and whoever held a lock is not here either."""
        self._lock = threading.Lock()
        self._started = False


def _begin_anew(background: weakref.ref[Background]) -> None:
    if (mine := background()) is not None:
        mine.begin_anew()


def _run(work: weakref.WeakMethod[Callable[[], float]], wake: threading.Event) -> None:
    while (method := work()) is not None:
        sleep = method()
        del method  # or the owner would live for as long as this thread sleeps
        wake.wait(min(sleep, LONGEST_SECONDS))
        wake.clear()


@dataclass(frozen=True, slots=True)
class Contact:
    """The storage's last word, or its silence: when (monotonic seconds), and the fault if it was none."""

    at: float
    fault: AssetStoreError | None = None


_log = logging.getLogger("assetstore")

#: Learning may take at most this share of the time, however often it is wanted.
SHARE = 0.05
#: The first pause after a failure; each further one doubles it.
FIRST_RETRY_SECONDS = 1.0


class Refreshing(Background):
    """Repeats a bound method that learns something from storage, at least every *refresh_seconds*.

    Its owner is held weakly, as :class:`Background` has it.

    Args:
        what: what a warning says that cannot be done: ``list s3://bucket``.
        name: the thread's name.
    """

    def __init__(self, learn: Callable[[], None], what: str, refresh_seconds: float, name: str) -> None:
        super().__init__(self._again, name)
        #: How the last time ended; ``None`` before the first has.
        self.contact: Contact | None = None
        self._learn = WeakMethod(learn)
        self._what = what
        self._refresh_seconds = refresh_seconds
        self._learning = threading.Lock()
        self._failures = 0

    def now(self) -> None:
        """Learn now, and return when it is done. Crosses the network.

        Raises:
            AssetStoreError: storage failed; what was known stays.
        """
        learn = self._learn()
        if learn is None:
            return
        with self._learning:
            try:
                learn()
            except AssetStoreError as error:
                self.contact = Contact(time.monotonic(), error)
                raise
            self.contact = Contact(time.monotonic())

    def begin_anew(self) -> None:
        super().begin_anew()
        self._learning = threading.Lock()

    def _again(self) -> float:
        """The seconds until the next time."""
        began = time.monotonic()
        try:
            self.now()
            self._failures = 0
        except AssetStoreError as error:
            self._failures += 1
            _log.warning("cannot %s, so its names stay as they were: %s", self._what, error)
            pause = FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10)
            return min(pause, max(self._refresh_seconds, FIRST_RETRY_SECONDS)) * SystemRandom().uniform(0.5, 1.0)
        # Jitter, so that the workers of a fleet do not ask in step; a tenth early, never late.
        wanted = self._refresh_seconds * SystemRandom().uniform(0.9, 1.0)
        return max(wanted, (time.monotonic() - began) / SHARE)


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
