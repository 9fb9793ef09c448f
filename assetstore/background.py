"""This module owns work that is done again and again in one thread, and ends with its owner."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

#: The longest that a thread sleeps without being woken.
LONGEST_SECONDS = 3600.0


class Background:
    """Repeats a bound method in a daemon thread; it returns how many seconds to sleep after it.

    The owner is held weakly, so dropping it ends the thread. A process that was forked has no
    threads of its parent's: :meth:`start` notices, and begins anew.
    """

    def __init__(self, work: Callable[[], float], name: str) -> None:
        self._work = weakref.WeakMethod(work)
        self._name = name
        self._lock = threading.Lock()
        self._pid = 0
        self._wake = threading.Event()

    def start(self) -> None:
        """Begin, unless it runs already; cheap enough to be called with every use."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._wake = threading.Event()
            # The owner's end wakes the thread, which then finds no owner and ends too.
            if (method := self._work()) is not None:
                weakref.finalize(method.__self__, self._wake.set).atexit = False  # type: ignore[attr-defined]
            threading.Thread(target=_run, args=(self._work, self._wake), name=self._name, daemon=True).start()

    def wake(self) -> None:
        """Do the work soon."""
        self.start()
        self._wake.set()


def _run(work: weakref.WeakMethod[Callable[[], float]], wake: threading.Event) -> None:
    while (method := work()) is not None:
        sleep = method()
        del method  # or the owner would live for as long as this thread sleeps
        wake.wait(min(sleep, LONGEST_SECONDS))
        wake.clear()
