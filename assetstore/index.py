"""This module owns the names of a remote mount, listed in the background and answered from memory.

``url_for`` must never wait for a network. So one thread lists the mount at start-up, and again every so
often, and names are answered from what it has found.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from assetstore.backends.base import Backend, FileStat
from assetstore.backends.cached.counters import Contact
from assetstore.fingerprint import Fingerprinter
from assetstore.index_fingerprints import BackgroundFingerprints, fingerprint_of
from assetstore.index_table import Table
from assetstore.refreshing import Refreshing
from assetstore.resolver import Asset

#: How many names are kept ready, beside the listing.
REMEMBERED = 20_000


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
        self._table = Table()
        self._assets: dict[str, Asset] = {}
        self._made_soon = (
            BackgroundFingerprints(backend, fingerprinter)
            if fingerprinter is not None and fingerprinter.reads
            else None
        )
        self._full = threading.Event()
        self._refreshing = Refreshing(self._fill, f"list {backend.label}", refresh_seconds, "assetstore-index")

    @property
    def contact(self) -> Contact | None:
        """How the last listing ended; ``None`` before the first has."""
        return self._refreshing.contact

    def find(self, path: str) -> Asset | None:
        """The asset as it was last listed. Before the first listing is whole: as far as it has come."""
        self._refreshing.start()
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
        self._refreshing.start()
        yield from map(self._asset, self._table)

    def vouches(self, path: str, fingerprint: str) -> bool:
        return False

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` answers from knowledge: before the listing is whole, ``None`` does not mean missing."""
        return self._full.is_set()

    def start(self) -> None:
        """Begin listing, if that has not begun."""
        self._refreshing.start()

    def wait_until_full(self, seconds: float) -> bool:
        """Wait for the first listing, at most so long; whether it is whole. Not for the event loop."""
        self._refreshing.start()
        return self._full.wait(seconds)

    def refresh(self) -> None:
        """List now, and return when the new names are there. Crosses the network.

        Raises:
            BackendError: storage failed; the names that were known stay.
        """
        self._refreshing.now()

    @property
    def memory_bytes(self) -> int:
        """About how much memory the listing takes."""
        return self._table.memory_bytes

    def __len__(self) -> int:
        return len(self._table)

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
