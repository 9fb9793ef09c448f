"""This module owns the names of a remote mount that is not listed: each is learnt as it is asked for.

For storage that has no listing, as HTTP has none, or too large a one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from random import SystemRandom

from assetstore.backends.base import Backend
from assetstore.errors import AssetNotFound, AssetStoreError
from assetstore.names.base import Asset
from assetstore.names.fingerprint import Fingerprinter
from assetstore.names.listing import fingerprint_of
from assetstore.util.background import Background

_log = logging.getLogger("assetstore")

#: How many names are remembered.
REMEMBERED = 20_000
#: How many names may wait to be learnt.
WAITING = 1_000
#: How long a name is held to be missing.
MISSING_SECONDS = 5.0
#: The pause after a question that failed.
RETRY_SECONDS = 1.0


class LazyResolver:
    """Learns names as they are asked for: the first answer for a name is the plain one."""

    def __init__(
        self,
        backend: Backend,
        fingerprinter: Fingerprinter | None,
        *,
        refresh_seconds: float = 60.0,
        remembered: int = REMEMBERED,
    ) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._refresh_seconds = refresh_seconds
        self._most = remembered
        self._known: OrderedDict[str, tuple[float, Asset | None]] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()
        self._background = Background(self._learn_all, "assetstore-names")

    def find(self, path: str) -> Asset | None:
        """What is known of *path*, however old; what is not known, or is old, is learnt soon."""
        until, asset = self._known.get(path, (0.0, None))
        if time.monotonic() >= until:
            self._ask_for(path)
        return asset

    def all(self) -> Iterator[Asset]:
        with self._lock:
            known = list(self._known.values())
        yield from (asset for _, asset in known if asset is not None)

    def vouches(self, path: str, fingerprint: str) -> bool:
        return False

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` answers from knowledge: before that, ``None`` does not mean missing."""
        return path in self._known

    def start(self) -> None:
        """There is nothing to learn before a name is asked for."""

    def refresh(self) -> None:
        """Learn every known name anew, soon; the old answers stand until then."""
        with self._lock:
            for path, (_, asset) in self._known.items():
                self._known[path] = (0.0, asset)

    def learn(self, path: str) -> Asset | None:
        """Ask the backend for *path* now, and remember the answer. Crosses the network.

        Raises:
            BackendError: storage failed; what was known stays known.
        """
        seconds = self._refresh_seconds * SystemRandom().uniform(0.9, 1.1)
        try:
            stat = self._backend.stat(path)
            asset = Asset(path, fingerprint_of(stat, self._fingerprinter, self._backend), stat)
        except AssetNotFound:
            asset, seconds = None, min(MISSING_SECONDS, seconds)
        with self._lock:
            self._known[path] = (time.monotonic() + seconds, asset)
            self._known.move_to_end(path)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return asset

    def _ask_for(self, path: str) -> None:
        with self._lock:
            if len(self._waiting) < WAITING and path not in self._waiting:
                self._waiting.append(path)
        self._background.wake()

    def _learn_all(self) -> float:
        while self._waiting:
            path = self._waiting[0]
            try:
                self.learn(path)
            except AssetStoreError as error:
                _log.warning("cannot look up %r in %s: %s", path, self._backend.label, error)
                with self._lock:
                    self._waiting.clear()  # they come again with the next page
                return RETRY_SECONDS
            except Exception as error:  # a fingerprinter of the user's own may raise anything at all
                _log.warning("cannot look up %r in %s: %s", path, self._backend.label, error, exc_info=True)
            finally:
                with self._lock:
                    if self._waiting and self._waiting[0] == path:
                        self._waiting.popleft()
        return float("inf")
