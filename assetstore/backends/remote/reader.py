"""The guard and the cache around a remote reader, which :func:`remote` wires; and ``CachedReader``, the cache.

1. Which version is current (:mod:`~assetstore.backends.remote.metadata`).
2. Its blocks, from memory, disk or storage (:mod:`~assetstore.backends.remote.blocks`).
3. An opened file, which reads the bytes of that one version or fails.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from assetstore.backends.base import WHOLE, CacheFacts, FileStat, Span
from assetstore.backends.reader import AsyncOpenFile, Reader
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.blocks import HIT, Blocks, block_at, bounds, first_block
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.disk import DiskCache, DiskStore, NoDisk
from assetstore.backends.remote.guard import GuardedReader
from assetstore.backends.remote.metadata import Metadata, MetadataCache
from assetstore.backends.remote.retry import Breaker, Counters
from assetstore.errors import AssetNotFound, BodyTruncated, VersionChanged
from assetstore.util.background import on_event_loop


class CachedReader:
    """Cache in front of *inner*.

    Guard and cache share requests between the tasks of asyncio. On another event loop (trio) *bare*, the reader of the
    storage itself, is used without them.
    """

    def __init__(
        self,
        inner: Reader,
        bare: Reader,
        cache: MetadataCache,
        metadata: Metadata,
        blocks: Blocks,
        disk: NoDisk,
        counters: Counters,
    ) -> None:
        self._inner = inner
        self._bare = bare
        self._cache = cache
        self._metadata = metadata
        self._blocks = blocks
        self._disk = disk
        self._counters = counters

    async def stat(self, path: str) -> FileStat:
        if not on_event_loop():
            return await self._bare.stat(path)
        return self._counted(await self._metadata.current(path, None), HIT)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        """As :meth:`Backend.open`; a version that is cached is opened even if it is no longer current."""
        if not on_event_loop():
            return await self._bare.open(path, span, validator=validator)
        stat = None if validator is None else self.held(path, validator)
        if stat is None:
            stat = await self._metadata.current(path, span)
        if validator is not None and stat.validator != validator:
            raise VersionChanged(f"{path!r} is no longer the version that was requested", path=path)
        try:
            return await self._open(stat, span)
        except VersionChanged:
            self._cache.drop(path)  # so that the next attempt finds the new one
            raise
        except AssetNotFound:
            self._cache.miss(path, self._cache.generation)
            raise

    def held(self, path: str, validator: str) -> FileStat | None:
        held = self._cache.held(path)
        return held.stat if held is not None and held.stat.validator == validator else None

    def forget(self, paths: Iterable[str] | None = None) -> None:
        self._cache.forget(None if paths is None else list(paths))
        self._metadata.leave()

    def refute(self, stat: FileStat) -> None:
        self._cache.drop(stat.path)
        self._blocks.drop(stat, stat.size)

    async def aclose(self) -> None:
        """End what is running; the cache stays."""
        if not on_event_loop():
            await self._bare.aclose()
            return
        await self._metadata.aclose()
        await self._blocks.aclose()
        await self._disk.aclose()
        await self._inner.aclose()

    async def _open(self, stat: FileStat, span: Span) -> AsyncOpenFile:
        number = first_block(span, stat.size)
        content = None if number is None else self._blocks.held(stat, number)
        if number is None or content is not None:
            return _CachedFile(self._counted(stat, HIT), self._blocks, number, content)
        self._blocks.streams.enter(version := stat.version)
        try:
            fetched, cache = await self._blocks.get(stat, number, span.within(stat.size)[1])
            return _CachedFile(self._counted(stat, cache), self._blocks, number, fetched)
        finally:
            self._blocks.streams.leave(version)

    def _counted(self, stat: FileStat, cache: CacheFacts) -> FileStat:
        """Count a response whose metadata was cached; its bytes may not have been."""
        if stat.cache is None or stat.cache.outcome != "hit":
            return stat
        self._counters.count(cache.outcome)
        return stat if cache is HIT else stat.through(cache)


class _CachedFile:
    """One version, block by block; the block that was read last is kept."""

    def __init__(self, stat: FileStat, blocks: Blocks, number: int | None, content: bytes | None) -> None:
        self.stat = stat
        self._blocks = blocks
        self._number = number
        self._content = content
        self._open = True
        blocks.streams.enter(stat.version)

    def buffered(self, start: int, stop: int) -> bytes | None:
        """The bytes ``start`` to ``stop``, if they are in the block that was read last."""
        if self._content is None or self._number != block_at(start):
            return None
        begin, end = bounds(self._number, self.stat.size)
        if stop > end:
            return None
        return self._content[start - begin : stop - begin]

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        at = start
        while at < stop:
            number = block_at(at)
            if number != self._number or self._content is None:
                self._content, _ = await self._blocks.get(self.stat, number, stop)
                self._number = number
            begin, end = bounds(number, self.stat.size)
            if begin >= end:
                raise BodyTruncated(f"{self.stat.path!r} has no bytes from {at} on", path=self.stat.path)
            content = self._content
            yield content if (at, end) == (begin, min(end, stop)) else content[at - begin : stop - begin]
            at = end

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._content = None
            self._blocks.streams.leave(self.stat.version)


@dataclass(frozen=True, slots=True)
class Remote:
    """The readers of one remote mount, and its counters."""

    reader: CachedReader
    #: Without the cache: every call is a request.
    direct: GuardedReader
    counters: Counters


def remote(
    reader: Reader,
    label: str,
    *,
    cache: CacheSettings | None = None,
    limits: RemoteLimits | None = None,
    immutable: Callable[[FileStat], bool] = lambda stat: False,
    clock: Callable[[], float] = time.monotonic,
) -> Remote:
    """Put the guard and the cache around *reader*.

    Args:
        label: the storage's name in messages; it also tells mounts apart in a shared disk cache.
        immutable: whether a version is the only one that its path ever names, as of a proven fingerprinted one.
        clock: monotonic seconds, for freshness.

    Raises:
        SettingsError: the directory of the disk cache cannot be used.
    """
    cache, limits = cache or CacheSettings(), limits or RemoteLimits()
    counters, timeouts = Counters(), Timeouts(label, interruptible=getattr(reader, "interruptible", False))
    breaker = Breaker(limits.breaker_faults, limits.breaker_seconds, limits.breaker_max_seconds)
    guarded = GuardedReader(reader, label, limits, breaker, counters, timeouts)
    disk = NoDisk() if cache.disk_path is None else DiskStore(label, DiskCache(cache.disk_path, cache.disk_bytes))
    metadata_cache = MetadataCache(cache, immutable, clock=clock)
    blocks = Blocks(guarded, cache, limits, timeouts, disk)
    metadata = Metadata(guarded, metadata_cache, blocks, disk, cache, limits, counters)
    return Remote(CachedReader(guarded, reader, metadata_cache, metadata, blocks, disk, counters), guarded, counters)
