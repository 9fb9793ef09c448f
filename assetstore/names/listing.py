"""Names of a remote mount: ``Index(...)``, from a listing kept in memory, or each looked up when it is first used.

``url_for`` must never wait for a network. So one thread lists the mount at start-up, and again
every *refresh_seconds*, and names are answered from what it has found (:class:`IndexResolver`). For storage
that has no listing (HTTP), or too large a one, it looks up single names (:class:`LazyResolver`).
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import SystemRandom
from typing import Literal

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, BackendError, SettingsError
from assetstore.names.base import Asset, Stored
from assetstore.names.fingerprint import Fingerprint, fingerprint_of
from assetstore.util.background import Contact, DeferredCache, Refresher

#: Stands for a modified time that is not known.
_NO_TIME = -(1 << 63)
#: Length of an MD5, which most ETags are.
_TAG_BYTES = 16


class Table:
    """What was listed, ordered by path, in a few flat columns; appended to by one thread, read by many.

    Object storage lists in the order of UTF-8 bytes, so a table can be searched while it still grows.
    """

    def __init__(self) -> None:
        self._paths = bytearray()
        self._ends = array("I", [0])
        self._sizes = array("Q")
        self._times = array("q")
        self._tags = bytearray()
        #: Validators that are no plain MD5 (of uploads in parts, say), by row.
        self._other_tags: dict[int, str] = {}
        #: Rows whose backend decides more than a listing tells (rewritten style sheets), whole.
        self._decided: dict[int, FileStat] = {}
        self._last = b""
        self._count = 0

    @classmethod
    def of(cls, stats: Iterable[FileStat]) -> Table:
        """A table of *stats*, in whatever order they come."""
        table = cls()
        rest = iter(stats)
        for stat in rest:
            if not table.append(stat):
                rows = sorted([*table, stat, *rest], key=lambda each: each.path.encode())
                table = cls()
                for row in rows:
                    table.append(row)
                break
        return table

    def append(self, stat: FileStat) -> bool:
        """Add a row; false, and nothing is done, if it does not belong behind the last one."""
        path = stat.path.encode()
        if path <= self._last and self._count:
            return path == self._last
        self._last = path
        self._paths += path
        self._ends.append(len(self._paths))
        self._sizes.append(stat.size)
        self._times.append(_NO_TIME if stat.mtime_ns is None else stat.mtime_ns)
        tag = _md5(stat.validator)
        if tag is None:
            tag = bytes(_TAG_BYTES)
            if stat.validator is not None:
                self._other_tags[self._count] = stat.validator
        self._tags += tag
        if stat.fingerprint is not None:
            self._decided[self._count] = stat
        self._count += 1  # last: from here on readers see the row
        return True

    def find(self, path: str) -> FileStat | None:
        """What was listed of *path*; ``None`` if it was not."""
        wanted = path.encode(errors="surrogatepass")
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            here = self._paths[self._ends[middle] : self._ends[middle + 1]]
            if here == wanted:
                return self._row(middle, path)
            if here < wanted:
                low = middle + 1
            else:
                high = middle
        return None

    def __iter__(self) -> Iterator[FileStat]:
        for row in range(self._count):
            yield self._row(row, self._paths[self._ends[row] : self._ends[row + 1]].decode())

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        if self is other:
            return True
        return (
            self._count == other._count
            and self._tags == other._tags
            and self._times == other._times
            and self._sizes == other._sizes
            and self._ends == other._ends
            and self._other_tags == other._other_tags
            and self._decided == other._decided
            and self._paths == other._paths
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def memory_bytes(self) -> int:
        """About how much memory the rows take."""
        columns = (self._ends, self._sizes, self._times)
        return len(self._paths) + len(self._tags) + sum(len(each) * each.itemsize for each in columns)

    def _row(self, row: int, path: str) -> FileStat:
        if row in self._decided:
            return self._decided[row]
        moment = self._times[row]
        tag = self._tags[row * _TAG_BYTES : (row + 1) * _TAG_BYTES]
        return FileStat(
            path,
            self._sizes[row],
            None if moment == _NO_TIME else moment,
            self._other_tags.get(row) or (tag.hex() if any(tag) else None),
        )


def _md5(validator: str | None) -> bytes | None:
    if validator is None or len(validator) != 2 * _TAG_BYTES:
        return None
    try:
        tag = bytes.fromhex(validator)
    except ValueError:
        return None
    return tag if any(tag) and tag.hex() == validator else None


#: How many names are kept ready, beside the listing.
MAX_ASSETS = 20_000
#: How often a wait for the first listing looks whether it has failed, in seconds.
WAIT_STEP_SECONDS = 0.05


class IndexResolver:
    """Answers from a listing that one thread makes, and makes again within *refresh_seconds*."""

    def __init__(
        self,
        backend: Backend,
        fingerprint: Fingerprint | None,
        *,
        refresh_seconds: float = 60.0,
        wait_seconds: float = 0.0,
    ) -> None:
        #: The least that :meth:`wait` waits.
        self.wait_seconds = wait_seconds
        self._backend = backend
        self._fingerprint = fingerprint
        self._table = Table()
        self._assets: dict[str, Asset] = {}
        self._full = threading.Event()
        self._refreshing = Refresher(self._fill, f"list {backend.label}", refresh_seconds, "assetstore-index")

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
        if self._fingerprint is None or asset.fingerprint is not None:
            if len(self._assets) >= MAX_ASSETS:
                self._assets.clear()
            self._assets[path] = asset
        return asset

    def all(self) -> Iterator[Asset]:
        self._refreshing.start()
        yield from map(self._asset, self._table)

    def paths(self) -> Iterator[str]:
        self._refreshing.start()
        yield from (stat.path for stat in self._table)

    def stored(self, path: str) -> Stored | None:
        return None

    def close(self) -> None:
        """End the threads that list and hash, and forget the names: the next use lists anew."""
        self._refreshing.close()
        self._full.clear()
        self._table, self._assets = Table(), {}
        if self._fingerprint is not None:
            self._fingerprint.close()

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` answers from knowledge: before the listing is whole, ``None`` does not mean missing."""
        return self._full.is_set()

    @property
    def is_empty(self) -> bool:
        return self._full.is_set() and len(self._table) == 0

    def start(self) -> None:
        """Begin listing, if that has not begun."""
        self._refreshing.start()

    def wait(self, seconds: float, path: str | None = None) -> bool:
        """Wait for the first listing, up to *seconds*; whether it is whole. Not for the event loop."""
        self._refreshing.start()
        began = time.monotonic()
        deadline = began + max(seconds, self.wait_seconds)
        while not self._full.wait(min(WAIT_STEP_SECONDS, max(0.0, deadline - time.monotonic()))):
            last = self.contact
            failed = last is not None and last.fault is not None and last.at >= began
            if failed or time.monotonic() >= deadline:
                return self._full.is_set()
        return True

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
        """The first listing can be searched while it grows, for as long as it comes in order."""
        rows = self._backend.walk()
        self._table = growing = Table()
        for stat in rows:
            if not growing.append(stat):
                return Table.of([*growing, stat, *rows])
        return growing

    def _asset(self, stat: FileStat) -> Asset:
        return Asset(stat.path, fingerprint_of(stat, self._fingerprint, self._backend, soon=True), stat)


#: How many names are kept.
MAX_NAMES = 20_000
#: How many names may wait to be looked up.
MAX_WAITING = 1_000
#: How long a name counts as missing, in seconds.
MISSING_SECONDS = 5.0
#: The pause after a request that failed, in seconds.
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Found:
    #: ``None`` for a name that is missing.
    asset: Asset | None


class LazyResolver:
    """Looks names up as they are used: until then each has its plain one."""

    def __init__(
        self,
        backend: Backend,
        fingerprint: Fingerprint | None,
        *,
        refresh_seconds: float = 60.0,
        max_names: int = MAX_NAMES,
    ) -> None:
        self._backend = backend
        self._fingerprint = fingerprint
        self._refresh_seconds = refresh_seconds
        self._found: DeferredCache[str, _Found] = DeferredCache(
            self._look_up,
            seconds=self._fresh_seconds,
            retry_seconds=RETRY_SECONDS,
            max_count=max_names,
            max_waiting=MAX_WAITING,
            what=f"look up in {backend.label}",
            name="assetstore-names",
        )

    @property
    def contact(self) -> Contact | None:
        return None

    @property
    def is_empty(self) -> bool:
        return False

    def find(self, path: str) -> Asset | None:
        """What is known of *path*, however old; what is not known, or is old, is looked up soon."""
        found = self._found.soon(path)
        return None if found is None else found.asset

    def all(self) -> Iterator[Asset]:
        yield from (found.asset for found in self._found.values() if found.asset is not None)

    def paths(self) -> Iterator[str]:
        yield from (asset.path for asset in self.all())

    def stored(self, path: str) -> Stored | None:
        return None

    def knows(self, path: str) -> bool:
        """Whether :meth:`find` knows: before that, ``None`` does not mean missing."""
        return self._found.known(path) is not None

    def wait(self, seconds: float, path: str | None = None) -> bool:
        """Look *path* up now, if it is not known; without one there is nothing to wait for. Not for the event loop."""
        if path is None or self.knows(path):
            return True
        with suppress(BackendError):
            self.look_up(path)
        return self.knows(path)

    def start(self) -> None:
        """There is nothing to look up before a name is used."""

    def refresh(self) -> None:
        """Look every known name up again at its next use; the old names stand until then."""
        self._found.expire()

    def look_up(self, path: str) -> Asset | None:
        """Request *path* from the backend now, and keep the outcome. Crosses the network.

        Raises:
            BackendError: storage failed; what was known stays known.
        """
        found = self._found.compute(path)
        return None if found is None else found.asset

    def close(self) -> None:
        """End the threads that look up and hash; known names are looked up again at their next use."""
        self._found.close()
        self._found.expire()
        if self._fingerprint is not None:
            self._fingerprint.close()

    def _look_up(self, path: str) -> _Found:
        try:
            stat = self._backend.stat(path)
            return _Found(Asset(path, fingerprint_of(stat, self._fingerprint, self._backend, soon=False), stat))
        except AssetNotFound:
            return _Found(None)

    def _fresh_seconds(self, found: _Found) -> float:
        seconds = self._refresh_seconds * SystemRandom().uniform(0.9, 1.1)
        return seconds if found.asset is not None else min(MISSING_SECONDS, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Where the names of a remote mount come from; for ``assets.static(..., index=Index(...))``."""

    #: ``listing`` lists the whole mount; ``lazy`` looks names up as they are used, for mounts
    #: too large to list. Storage without a listing (HTTP) is always ``lazy``.
    kind: Literal["listing", "lazy"] = "listing"
    #: Within how many seconds a name that another process published is known here.
    refresh_seconds: float = 60.0
    #: How long wiring may wait for the first listing, so that the first page has every name.
    wait_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in {"listing", "lazy"}:
            raise SettingsError(f"index kind {self.kind!r} is not known; give 'listing' or 'lazy'")
        if not self.refresh_seconds > 0 or not self.wait_seconds >= 0:
            raise SettingsError(f"{self!r}: refresh_seconds must be above zero, and wait_seconds zero or more")

    @classmethod
    def parse(cls, choice: object) -> Index:
        """What ``index=`` names: ``"listing"``, ``"lazy"``, or an :class:`Index`.

        Raises:
            SettingsError: it is none of these.
        """
        if isinstance(choice, Index):
            return choice
        if choice == "listing" or choice == "lazy":
            return cls(kind=choice)
        raise SettingsError(f"index={choice!r} is not known; give 'listing', 'lazy' or Index(refresh_seconds=60)")

    def resolver(self, backend: Backend, fingerprint: Fingerprint | None) -> IndexResolver | LazyResolver:
        """The resolver for *backend*, which is remote."""
        stored = getattr(backend, "inner", backend)
        if self.kind == "lazy" or not getattr(stored, "listable", True):
            return LazyResolver(backend, fingerprint, refresh_seconds=self.refresh_seconds)
        return IndexResolver(backend, fingerprint, refresh_seconds=self.refresh_seconds, wait_seconds=self.wait_seconds)
