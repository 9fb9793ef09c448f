"""Whether a stored variant (``app.css.br``) holds the bytes of its file: decoded once, or named so by a manifest.

Times do not tell: a clone, a copy or a publish gives an old sibling a new time, and a copy that keeps
no times gives a good one an old time.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from assetstore.assets.compression import CODINGS, decompressed_sha256
from assetstore.backends.base import Backend, FileStat, OpenFile
from assetstore.errors import VersionChanged
from assetstore.names.base import Resolver
from assetstore.names.digests import Digests
from assetstore.util.background import NICE, DeferredCache
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: Larger files are not decoded, and neither is what is larger than its file by more than a format's own overhead.
MAX_BYTES, MAX_RATIO = 256 * 1024 * 1024, 1.1
#: Larger remote files are not fetched to be compared.
MAX_REMOTE_BYTES = 16 * 1024 * 1024
_OVERHEAD_BYTES = 4096
#: How many pairs of a file and a sibling one mount keeps.
MAX_PAIRS = 20_000
#: Of how many versions of siblings it is kept that the log says why they are refused.
MAX_REFUSED = 1_000
#: Who waits for a proof longer than this has gone.
WANTED_SECONDS = 600.0


class _Pair(NamedTuple):
    sibling: FileStat
    file: FileStat
    coding: str

    def __str__(self) -> str:
        return f"{self.sibling.path!r} with {self.file.path!r}"


class Siblings:
    """What is known of the siblings in *backend*: each pair of versions is compared once, the smallest first."""

    def __init__(self, backend: Backend, digests: Digests, resolver: Resolver) -> None:
        self._backend = backend
        self._digests = digests
        self._resolver = resolver
        self._refused: LRU[Hashable, bool] = LRU(MAX_REFUSED)
        self._pairs: DeferredCache[_Pair, bool] = DeferredCache(
            self._compare,
            key=_key,
            cost=_size,
            wanted_seconds=WANTED_SECONDS,
            max_count=MAX_PAIRS,
            what="compare",
            name="assetstore-siblings",
            nice=NICE,
        )

    def can_prove(self, sibling: FileStat, file: FileStat, coding: str) -> bool:
        """Whether it will be known at some time that *sibling* holds the bytes of *file*, or does not."""
        if self._published(sibling, file) is not None:
            return True
        largest = MAX_REMOTE_BYTES if self._backend.remote else MAX_BYTES
        fits = file.size <= largest and sibling.size <= file.size * MAX_RATIO + _OVERHEAD_BYTES
        return coding in CODINGS and fits

    def known(self, sibling: FileStat, file: FileStat, coding: str) -> bool | None:
        """Whether *sibling* holds the bytes of *file*; ``None`` if that is not known yet."""
        published = self._published(sibling, file)
        return published if published is not None else self._pairs.known(_Pair(sibling, file, coding))

    def soon(self, sibling: FileStat, file: FileStat, coding: str) -> bool | None:
        """As :meth:`known`; what is not known is compared in the background."""
        published = self._published(sibling, file)
        return published if published is not None else self._pairs.soon(_Pair(sibling, file, coding))

    def now(self, sibling: FileStat, file: FileStat, coding: str) -> bool | None:
        """As :meth:`known`, compared in this thread; ``None`` if one of the two is gone.

        Raises:
            AssetNotFound, BackendError: as :meth:`Backend.open`.
        """
        published = self._published(sibling, file)
        return published if published is not None else self._pairs.now(_Pair(sibling, file, coding))

    def refuse(self, sibling: FileStat, why: str) -> None:
        """Log once for each version of *sibling* why it is not sent."""
        if self._refused.get(sibling.version) is None:
            self._refused.put(sibling.version, True)
            _log.warning("%r in %s is not sent: %s", sibling.path, self._backend.label, why)

    def close(self) -> None:
        """Break off comparing, and end the thread; the next use starts another."""
        self._pairs.close()

    def _published(self, sibling: FileStat, file: FileStat) -> bool | None:
        """Whether a publish stored these very bytes for the file; ``None`` if no manifest says."""
        stored = self._resolver.stored(sibling.path)
        if stored is None or stored.plain_sha256 is None:
            return None
        if sibling.sha256 is None and (stored.validator is None or stored.validator != sibling.validator):
            return None
        same = stored.size == sibling.size and sibling.sha256 in {None, stored.sha256}
        digest = self._digests.known(file)
        return None if not same or digest is None else digest == stored.plain_sha256

    def _compare(self, pair: _Pair) -> bool | None:
        digest = self._digests.now(pair.file, self._backend)
        if digest is None:
            return None
        try:
            opened = self._backend.open(pair.sibling.path)
            try:
                if opened.stat.version != pair.sibling.version:
                    return None
                plain = decompressed_sha256(self._chunks(opened), pair.coding, pair.file.size)
            finally:
                opened.close()
        except VersionChanged:
            return None
        if self._pairs.is_closing:
            return None
        if plain != digest:
            self.refuse(pair.sibling, f"it does not hold the bytes of {pair.file.path!r}; build it again, or delete it")
        return plain == digest

    def _chunks(self, opened: OpenFile) -> Iterator[bytes]:
        for chunk in opened.chunks(0, opened.stat.size):
            if self._pairs.is_closing:
                return
            yield chunk


def _key(pair: _Pair) -> Hashable:
    return pair.sibling.version, pair.file.version, pair.coding


def _size(pair: _Pair) -> float:
    return pair.file.size
