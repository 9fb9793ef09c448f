"""This module owns the names of a remote mount, listed in the background and answered from memory.

``url_for`` must never wait for a network. So one thread lists the mount at start-up, and again every so
often, and names are answered from what it has found.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from random import SystemRandom

from assetstore.backends.base import Backend, FileStat
from assetstore.backends.cached.counters import Contact
from assetstore.background import Background
from assetstore.errors import AssetStoreError
from assetstore.fingerprint import Fingerprinter
from assetstore.index_fingerprints import BackgroundFingerprints, fingerprint_of
from assetstore.index_table import Table
from assetstore.resolver import Asset

_log = logging.getLogger("assetstore")

#: How many names are kept ready, beside the listing.
REMEMBERED = 20_000
#: A listing may take at most this share of the time, however often it is wanted.
LISTING_SHARE = 0.05
#: The first pause after a listing that failed; each further one doubles it.
FIRST_RETRY_SECONDS = 1.0


class IndexResolver:
    """Answers from a listing that one thread makes, and makes again within *refresh_seconds*."""

    def __init__(
        self,
        backend: Backend,
        fingerprinter: Fingerprinter | None,
        *,
        refresh_seconds: float = 60.0,
    ) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._refresh_seconds = refresh_seconds
        self._table = Table()
        self._assets: dict[str, Asset] = {}
        self._made_soon = (
            BackgroundFingerprints(backend, fingerprinter)
            if fingerprinter is not None and fingerprinter.reads
            else None
        )
        self._full = threading.Event()
        self._listing = threading.Lock()
        self._failures = 0
        #: How the last listing ended; ``None`` before the first has.
        self.contact: Contact | None = None
        self._background = Background(self._list, "assetstore-index")

    def find(self, path: str) -> Asset | None:
        """The asset as it was last listed. Before the first listing is whole: as far as it has come."""
        self._background.start()
        asset = self._assets.get(path)
        if asset is not None:
            return asset
        stat = self._table.find(path)
        if stat is None:
            return None
        asset = self._asset(stat)
        if self._made_soon is None or asset.fingerprint is not None:
            if len(self._assets) >= REMEMBERED:
                self._assets.clear()
            self._assets[path] = asset
        return asset

    def all(self) -> Iterator[Asset]:
        self._background.start()
        yield from map(self._asset, self._table)

    def vouches(self, path: str, fingerprint: str) -> bool:
        return False

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` answers from knowledge: before the listing is whole, ``None`` does not mean missing."""
        return self._full.is_set()

    def start(self) -> None:
        """Begin listing, if that has not begun."""
        self._background.start()

    def wait_until_full(self, seconds: float) -> bool:
        """Wait for the first listing, at most so long; whether it is whole. Not for the event loop."""
        self._background.start()
        return self._full.wait(seconds)

    def refresh(self) -> None:
        """List now, and return when the new names are there. Crosses the network.

        Raises:
            BackendError: storage failed; the names that were known stay.
        """
        with self._listing:
            try:
                self._fill()
            except AssetStoreError as error:
                self.contact = Contact(time.monotonic(), error)
                raise
            self.contact = Contact(time.monotonic())

    @property
    def memory_bytes(self) -> int:
        """About how much memory the listing takes."""
        return self._table.memory_bytes

    def __len__(self) -> int:
        return len(self._table)

    def _list(self) -> float:
        """List unless somebody else is at it; the seconds until the next time."""
        began = time.monotonic()
        try:
            self.refresh()
            self._failures = 0
        except AssetStoreError as error:
            self._failures += 1
            _log.warning("cannot list %s, so its names stay as they were: %s", self._backend.label, error)
            pause = FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10)
            return min(pause, max(self._refresh_seconds, FIRST_RETRY_SECONDS)) * SystemRandom().uniform(0.5, 1.0)
        # Jitter, so that the workers of a fleet do not list in step; a tenth early, never late.
        wanted = self._refresh_seconds * SystemRandom().uniform(0.9, 1.0)
        return max(wanted, (time.monotonic() - began) / LISTING_SHARE)

    def _fill(self) -> None:
        table = Table.of(self._backend.walk()) if self._full.is_set() else self._first_listing()
        if table != self._table:
            self._table = table
            self._assets = {}
        self._full.set()

    def _first_listing(self) -> Table:
        """The first listing can be asked while it grows, for as long as it comes in order."""
        rows = self._backend.walk()
        self._table = growing = Table()
        for stat in rows:
            if not growing.append(stat):
                return Table.of([*growing, stat, *rows])
        return growing

    def _asset(self, stat: FileStat) -> Asset:
        if self._made_soon is not None:
            return Asset(stat.path, self._made_soon.of(stat), stat)
        return Asset(stat.path, fingerprint_of(stat, self._fingerprinter, self._backend), stat)
