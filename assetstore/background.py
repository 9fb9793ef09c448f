"""This module owns work that is done again and again in one thread, and ends with its owner."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import partial

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
