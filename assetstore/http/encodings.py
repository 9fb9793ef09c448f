"""Content codings of a file: siblings that are stored beside it, and variants that are made here and kept.

A sibling (``app.css.br``) is used as its file is once it is known to hold the same bytes
(:mod:`assetstore.names.siblings`). Until then, or where that cannot be known, it is used only while
it is no older than its file, and not as immutable. What has no sibling is compressed once, in a
thread, within a budget of bytes: a small file while its client waits, a larger one in the background;
until then, and when all threads are taken, the plain bytes are sent. Of
what a bucket holds in one coding only, the plain bytes are made in the same way, for clients that
cannot read it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread

from assetstore.assets.compression import BUDGET_BYTES, CODINGS, MIN_SIZE, SUFFIXES, compress, decompress
from assetstore.assets.media_types import STANDARD, MediaTypes
from assetstore.backends.base import Backend, FileStat, Version
from assetstore.backends.reader import AsyncOpenFile, Reader, siblings_by
from assetstore.errors import AssetNotFound, BackendError, BodyTruncated, VersionChanged
from assetstore.http.revalidation import Snapshot
from assetstore.names.base import BackgroundResolver, Resolver
from assetstore.names.digests import Digests
from assetstore.names.siblings import Siblings
from assetstore.util import reset_after_fork
from assetstore.util.background import NICE, Background
from assetstore.util.lru import LRU

#: Larger files are sent as they are: compressing them takes too long for a client that waits.
MAX_FILE_BYTES = 4 * 1024 * 1024
#: The most that is held of something stored in a coding, for clients that cannot read it.
MAX_PLAIN_BYTES = 16 * 1024 * 1024
#: What the plain bytes are called beside the codings (RFC 9110 section 12.5.3).
PLAIN = "identity"
#: A client waits until a file of up to so many bytes is compressed (3 ms for Brotli); larger ones are sent as they
#: are until that was done in the background.
WAITED_BYTES = 64 * 1024
#: Variants that one mount makes at once, and requests that may wait for their turn.
MAX_COMPRESSING = 2
MAX_WAITING = 16

#: A request waits until the sibling of a file of up to so many bytes is decoded (10 ms); larger ones have it later.
WAIT_BYTES = 1024 * 1024
#: Siblings that one mount decodes at once while requests wait.
MAX_PROVING = 2

#: That a file gains nothing in a coding is kept too, at about this cost.
_NOTHING_BYTES = 200


_NO_SIBLINGS: Mapping[str, FileStat] = {}


class Offer(NamedTuple):
    """The codings in which a file can be had, the best first, and the siblings among them."""

    codings: tuple[str, ...] = ()
    siblings: Mapping[str, FileStat] = _NO_SIBLINGS
    #: Codings whose sibling is not known to hold the bytes of the file.
    unproven: frozenset[str] = frozenset()
    #: Codings that are not made yet, and take too long for a client to wait.
    later: frozenset[str] = frozenset()
    #: Whether more will be known before long though no file changes, so that nothing is to be kept of it.
    provisional: bool = False


_NONE = Offer()
_SUFFIXES = tuple(SUFFIXES.values())
#: What of them can be made while serving.
_CODINGS = tuple(coding for coding in SUFFIXES if coding in CODINGS)
_COMPRESSED = Offer(_CODINGS)
_Key = tuple[Version, str]


class Encodings:
    """The variants of one mount's files."""

    def __init__(
        self,
        backend: Backend,
        reader: Reader,
        resolver: Resolver,
        budget_bytes: int = BUDGET_BYTES,
        digests: Digests | None = None,
        media_types: MediaTypes = STANDARD,
    ) -> None:
        self._backend = backend
        self._reader = reader
        self._resolver = resolver
        # Asking a resolver for what it does not know makes it ask the storage.
        self._knows = resolver.knows if isinstance(resolver, BackgroundResolver) else _everything
        self._budget = budget_bytes
        self._media_types = media_types
        self._made: LRU[_Key, bytes | None] = LRU(max_weight=budget_bytes, weight=_cost)
        self._making: dict[_Key, anyio.Event] = {}
        self._limiter = CapacityLimiter(MAX_COMPRESSING)
        #: What is compressed in the background: the bytes of each, by version and coding.
        self._queue: dict[_Key, bytes] = {}
        self._lock = threading.Lock()
        self._background = Background(self._compress_next, "assetstore-compress", NICE)
        reset_after_fork(self)
        self._proofs = Siblings(backend, Digests() if digests is None else digests, resolver)
        self._proving = CapacityLimiter(MAX_PROVING)

    def close(self) -> None:
        """End the threads that compare siblings and compress; the next use starts others."""
        with self._lock:
            self._queue.clear()
        self._background.close()
        self._proofs.close()

    async def offer(self, stat: FileStat, logical: str, snapshot: Snapshot) -> Offer:
        """In which codings the file can be had besides its plain bytes; what is looked at is recorded in *snapshot*."""
        if stat.coding is not None:
            return Offer((stat.coding,)) if self._can_read(stat) else _NONE
        kind = self._media_types.kind(logical)
        if stat.size == 0 or not kind.may_have_variants:
            return _NONE
        siblings, unproven, provisional = await self._siblings(stat, snapshot)
        compressed = MIN_SIZE <= stat.size <= MAX_FILE_BYTES and self._budget > 0 and kind.compressible
        if not siblings and not provisional and (not compressed or (not self._made and stat.size <= WAITED_BYTES)):
            return _COMPRESSED if compressed else _NONE  # as for most files that were not requested before
        codings = [
            coding
            for coding in SUFFIXES
            if coding in siblings or (compressed and coding in CODINGS and self._is_worth(stat, coding))
        ]
        later = [
            each
            for each in codings
            if stat.size > WAITED_BYTES and each not in siblings and (stat.version, each) not in self._made
        ]
        return Offer(tuple(codings), siblings, frozenset(unproven), frozenset(later), provisional)

    def _is_worth(self, stat: FileStat, coding: str) -> bool:
        """Whether that file gains in that coding, as far as is known."""
        return self._made.get((stat.version, coding), b"") is not None

    def _can_read(self, stat: FileStat) -> bool:
        """Whether the plain bytes of what is stored in a coding can be had."""
        readable = stat.coding in CODINGS and stat.size <= MAX_FILE_BYTES and self._budget > 0
        return readable and self._is_worth(stat, PLAIN)

    async def open_sibling(self, stat: FileStat, found: FileStat) -> AsyncOpenFile | None:
        """Open the sibling that was *found* beside the file of *stat*; ``None`` if it is another by now."""
        try:
            opened = await self._reader.open(found.path)
        except (AssetNotFound, BackendError):
            return None
        if opened.stat.version == found.version:
            return opened
        await opened.aclose()
        return None

    async def make(self, stat: FileStat, coding: str, opened: AsyncOpenFile | None) -> bytes | None:
        """The compressed bytes of the version that *stat* describes; ``None`` to send the stored ones.

        With :data:`PLAIN` as *coding* it is the plain bytes of what is stored in a coding.

        Raises:
            VersionChanged, BodyTruncated: the file is another one by now.
        """
        key = (stat.version, coding)
        if key not in self._made and (other := self._making.get(key)) is not None:
            await other.wait()
        if key in self._made:
            return self._made.get(key)
        if key in self._making or self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            return None
        done = self._making[key] = anyio.Event()
        try:
            return self._made.put(key, await self._convert(stat, coding, opened))
        finally:
            del self._making[key]
            done.set()

    async def make_later(self, stat: FileStat, coding: str, opened: AsyncOpenFile) -> None:
        """Compress that version in the background, as well as can be, from the bytes that are in *opened*.

        Raises:
            VersionChanged, BodyTruncated: the file is another one by now.
        """
        key = (stat.version, coding)
        if key not in self._queue and len(self._queue) < MAX_WAITING:
            content = await self._read(stat, opened)
            with self._lock:
                self._queue[key] = content
            self._background.wake()

    def _compress_next(self) -> float:
        """Compress the smallest file that waits; the seconds until the next."""
        with self._lock:
            if not self._queue:
                return math.inf
            key = min(self._queue, key=lambda each: len(self._queue[each]))
            content = self._queue[key]
        try:
            self._made.put(key, compress(content, key[1], thorough=True))
        finally:
            with self._lock:
                self._queue.pop(key, None)
        return 0.0

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._queue = {}

    async def _convert(self, stat: FileStat, coding: str, opened: AsyncOpenFile | None) -> bytes | None:
        async with self._limiter:  # before reading, so that what waits holds no bytes
            data = await self._read(stat, opened)
            if coding == PLAIN:
                return await to_thread.run_sync(decompress, data, stat.coding or "", MAX_PLAIN_BYTES)
            return await to_thread.run_sync(compress, data, coding)

    async def _read(self, stat: FileStat, opened: AsyncOpenFile | None) -> bytes:
        mine = opened or await self._reader.open(stat.path)
        try:
            if mine.stat.version != stat.version:
                raise VersionChanged(f"{stat.path!r} changed while it was looked up", path=stat.path)
            data = b"".join([chunk async for chunk in mine.chunks(0, stat.size)])
        finally:
            if opened is None:
                await mine.aclose()
        if len(data) != stat.size:
            raise BodyTruncated(f"{stat.path!r} gave {len(data)} bytes of {stat.size}", path=stat.path)
        return data

    async def _siblings(self, stat: FileStat, snapshot: Snapshot) -> tuple[dict[str, FileStat], set[str], bool]:
        """The siblings that may be sent, those of them that are not proven, and whether this will change by itself."""
        found: dict[str, FileStat] = {}
        unproven: set[str] = set()
        every = [(suffix, stat.path + suffix) for suffix in _SUFFIXES]
        wanted = [suffix for suffix, _ in snapshot.not_absent(every)]
        if not wanted:
            return found, unproven, False
        beside, complete = await self._look_beside(stat, wanted)
        provisional = not complete
        for coding, suffix in SUFFIXES.items():
            path, sibling = stat.path + suffix, beside.get(suffix)
            if sibling is None:
                if complete and suffix in wanted:
                    snapshot.saw_none(path)
                continue
            snapshot.saw(sibling)
            if not sibling.size:  # no coding makes a file empty: that is half a build
                continue
            try:
                proven = await self._prove(sibling, stat, coding)
            except AssetNotFound:
                snapshot.saw_none(path)
                continue
            except BackendError:  # a fault says nothing of whether there is one
                provisional = True
                continue
            if proven or (proven is None and _is_fresh(sibling, stat)):
                found[coding] = sibling
            if proven is not None:
                continue
            unproven.add(coding)
            if self._proofs.can_prove(sibling, stat, coding):
                provisional = True
            elif coding not in found:
                why = f"it is older than {stat.path!r}, and too large, or in a coding that cannot be read here, to compare"
                self._proofs.refuse(sibling, f"{why} the two; build it again, or delete it")
        return found, unproven, provisional

    async def _look_beside(self, stat: FileStat, suffixes: list[str]) -> tuple[dict[str, FileStat], bool]:
        """The siblings by suffix, and whether those are all: a fault says nothing of whether there is one.

        Of remote ones only what is known already, since a stat would be a request.
        """
        if not self._backend.remote:
            try:
                return await siblings_by(self._reader, stat, suffixes)
            except (AssetNotFound, BackendError):
                return {}, False
        names = {suffix: stat.path + suffix for suffix in suffixes}
        found = {suffix: self._resolver.find(name) for suffix, name in names.items() if self._knows(name)}
        return {
            suffix: asset.stat for suffix, asset in found.items() if asset is not None and asset.stat is not None
        }, True

    async def _prove(self, sibling: FileStat, stat: FileStat, coding: str) -> bool | None:
        """Whether *sibling* holds the bytes of the file; ``None`` if that is not known (yet)."""
        known = self._proofs.known(sibling, stat, coding)
        if known is not None or not self._proofs.can_prove(sibling, stat, coding):
            return known
        if self._backend.remote or stat.size > WAIT_BYTES:
            return self._proofs.soon(sibling, stat, coding)
        return await to_thread.run_sync(self._proofs.now, sibling, stat, coding, limiter=self._proving)


def _everything(path: str) -> bool:
    return True


def _cost(made: bytes | None) -> int:
    return _NOTHING_BYTES + (0 if made is None else len(made))


def _is_fresh(sibling: FileStat, stat: FileStat) -> bool:
    """Whether *sibling* is no older."""
    return sibling.mtime_ns is not None and stat.mtime_ns is not None and sibling.mtime_ns >= stat.mtime_ns
