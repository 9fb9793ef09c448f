"""This module owns which files stay open after they were read, how many of them, and for how long.

A hot file is read thousands of times a second, and each time would be found by its name, opened and
closed. Those that were just read are held open instead: few, and each for a second at most, so that
a deleted file gives back its place on the disk whether or not anybody asks for it again.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time

from assetstore.backends.readers import Mark

#: For how long a file is held open, in seconds.
HELD_SECONDS = 1.0
#: Files that are held open at once. A page has fewer; a process may often open no more than 1024.
MAX_HELD = 64


class HeldFile:
    """One open file, of which the page cache had the bytes ``start`` to ``stop`` a moment ago.

    It is closed when nobody has it any more, and so never while another thread reads it.
    """

    __slots__ = ("descriptor", "mark", "start", "stop")

    def __init__(self, descriptor: int, mark: Mark, start: int, stop: int) -> None:
        self.descriptor = descriptor
        self.mark = mark
        self.start = start
        self.stop = stop

    def __del__(self) -> None:
        os.close(self.descriptor)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written into it since it was marked: that changes this time of a file first."""
        return os.fstat(self.descriptor).st_ctime_ns == self.mark.ctime_ns


class HeldFiles:
    """The files of one directory that are held open, on any number of threads."""

    def __init__(self) -> None:
        self._by_path: dict[str, HeldFile] = {}
        #: The file that is held of a path, or ``None``.
        self.get = self._by_path.get
        self._lock = threading.Lock()
        #: When the timer that closes them rings, by :func:`time.monotonic`.
        self._closing_at = 0.0

    def __len__(self) -> int:
        return len(self._by_path)

    def hold(self, path: str, file: HeldFile) -> None:
        """Hold *file* open, in the place of what was held of *path*; the one that was held longest makes room."""
        with self._lock:
            if not self._will_be_closed():
                return
            self._by_path.pop(path, None)
            while len(self._by_path) >= MAX_HELD:
                del self._by_path[next(iter(self._by_path))]
            self._by_path[path] = file

    def let_go(self, path: str) -> None:
        """Hold *path* no longer: it has changed, or its name is looked at again."""
        if path in self._by_path:  # hardly ever, and this is asked often
            with self._lock:
                self._by_path.pop(path, None)

    def close(self) -> None:
        """Hold none of them any longer."""
        with self._lock:
            self._by_path.clear()
            self._closing_at = 0.0

    def _will_be_closed(self) -> bool:
        """Whether a timer rings soon. None does outside of an event loop; one may have been stopped with its loop."""
        now = time.monotonic()
        if now < self._closing_at:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._closing_at = now + HELD_SECONDS
        loop.call_later(HELD_SECONDS, self.close)
        return True
