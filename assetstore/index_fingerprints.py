"""This module owns the fingerprints of files on remote storage: what needs the bytes is made in the background."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque

from assetstore.backends.base import Backend, FileStat
from assetstore.background import Background
from assetstore.errors import AssetStoreError
from assetstore.fingerprint import Fingerprinter

_log = logging.getLogger("assetstore")

#: How many fingerprints are remembered.
REMEMBERED = 20_000
#: How many may wait to be made.
WAITING = 1_000


def fingerprint_of(stat: FileStat, fingerprinter: Fingerprinter | None, backend: Backend) -> str | None:
    """The fingerprint of the version that *stat* describes; the backend's own comes first."""
    if stat.fingerprint is not None or fingerprinter is None:
        return stat.fingerprint
    return fingerprinter.of(stat, backend)


class BackgroundFingerprints:
    """Fingerprints that need the bytes: made in the background, plain names until then."""

    def __init__(self, backend: Backend, fingerprinter: Fingerprinter) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._known: OrderedDict[FileStat, str | None] = OrderedDict()
        self._waiting: deque[FileStat] = deque()
        self._lock = threading.Lock()
        self._background = Background(self._make_all, "assetstore-hash")

    def of(self, stat: FileStat) -> str | None:
        if stat in self._known:
            return self._known[stat]
        with self._lock:
            if len(self._waiting) < WAITING and stat not in self._waiting:
                self._waiting.append(stat)
        self._background.wake()
        return None

    def _make_all(self) -> float:
        while self._waiting:
            stat = self._waiting[0]
            try:
                made = fingerprint_of(stat, self._fingerprinter, self._backend)
            except Exception as error:  # a fingerprinter of the user's own may raise anything at all
                ours = isinstance(error, AssetStoreError)
                _log.warning(
                    "cannot fingerprint %r in %s: %s", stat.path, self._backend.label, error, exc_info=not ours
                )
                made = None
            with self._lock:
                self._waiting.popleft()
                if made is not None:
                    self._known[stat] = made
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return float("inf")
