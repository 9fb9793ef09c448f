"""Log of failed requests: the first of a kind with its traceback, then a line with a count.

While a storage is down every request fails in the same way, as often as clients ask. The operator
needs the traceback once and the count from then on; one for each would fill the disk.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from assetstore.errors import AssetStoreError
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: The least time between two lines of one kind.
PAUSE_SECONDS = 10.0
#: A kind that did not occur for this long is logged with its traceback again.
NEWS_SECONDS = 600.0
#: How many kinds are kept; there are about as many as errors have classes.
KINDS = 64


@dataclass(slots=True)
class _Kind:
    """One way to fail: when it last happened, when it was last logged, and how often it was left out since."""

    happened_at: float = -math.inf
    logged_at: float = -math.inf
    left_out: int = 0


class ErrorLog:
    """The log of the failed requests of one mount, whose storage is called *label*.

    *clock* gives monotonic seconds.
    """

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._kinds: LRU[type[Exception], _Kind] = LRU(KINDS)
        self._lock = threading.Lock()

    def refused(self, file: str, status: int, error: AssetStoreError) -> None:
        """A request for *file* got *status* because of *error*."""
        if (line := self._next_line(type(error))) is not None:
            new, more = line
            _log.error(
                "%d for %r: %s failed: %s%s", status, file, self._label, error, more, exc_info=error if new else None
            )

    def broke_off(self, file: str, error: Exception) -> None:
        """The body of *file* ended before its time; the server logs the traceback, as *error* reaches it."""
        if (line := self._next_line(type(error))) is not None:
            _log.error("%r from %s broke off: %s%s", file, self._label, error, line[1])

    def _next_line(self, kind: type[Exception]) -> tuple[bool, str] | None:
        """Whether this *kind* is new, and the end of its line; ``None`` where it is only counted."""
        with self._lock:
            now = self._clock()
            known = self._kinds.put(kind, self._kinds.get(kind) or _Kind())
            new = now - known.happened_at >= NEWS_SECONDS
            known.happened_at = now
            if not new and now - known.logged_at < PAUSE_SECONDS:
                known.left_out += 1
                return None
            more = f" (and {known.left_out} more like it, left out)" if known.left_out else ""
            known.logged_at, known.left_out = now, 0
            return new, more
