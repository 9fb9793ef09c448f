"""This module owns learning anew, again and again: in the background, jittered, never two at once.

Storage that fails is asked again with growing pauses; what was known stays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from random import SystemRandom
from weakref import WeakMethod

from assetstore.backends.cached.counters import Contact
from assetstore.background import Background
from assetstore.errors import AssetStoreError

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
