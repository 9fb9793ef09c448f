"""Blocks of remote files: from memory, else from disk, else by one request to the storage.

Blocks of small objects have a cache of their own. Those of large ones pass through a small window,
so that clients which read one side by side share them, and large downloads evict no small objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from assetstore.backends.base import CacheFacts, FileStat, Span, Version
from assetstore.backends.reader import AsyncOpenFile, Reader
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.disk import NoDisk
from assetstore.backends.remote.single_flight import SingleFlight
from assetstore.backends.remote.streams import Stream, Streams
from assetstore.errors import BodyTruncated, RangeNotSatisfiable, VersionChanged
from assetstore.util.lru import LRU, weight_of_bytes

#: A thousand slow clients that each hold one cost 256 MB; a request to storage (10 to 50 ms) still
#: brings enough bytes for its cost.
BLOCK_BYTES = 256 * 1024


def block_at(position: int) -> int:
    """The number of the block that holds the byte at *position*."""
    return position // BLOCK_BYTES


def bounds(block: int, size: int) -> tuple[int, int]:
    """The bytes ``start`` to ``stop`` (half-open) of *block* in a file of *size* bytes."""
    return block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, size)


def widen(span: Span) -> Span:
    """*span* grown to whole blocks, as far as that can be said without knowing the file's size."""
    if span.start < 0:  # some block begins within so many bytes before it
        return Span(span.start - BLOCK_BYTES + 1, None)
    start = span.start - span.start % BLOCK_BYTES
    if span.stop is None or span.stop < 0:
        return Span(start, None)
    return Span(start, -(-span.stop // BLOCK_BYTES) * BLOCK_BYTES)


def first_block(span: Span, size: int) -> int | None:
    """The block that is read first for *span*; ``None`` where there is nothing to read."""
    start, stop = span.within(size)
    return block_at(start) if start < stop else None


BlockKey = tuple[Version, int]

HIT, MISS, COLLAPSED = CacheFacts("hit"), CacheFacts("miss"), CacheFacts("collapsed")


@dataclass(frozen=True, slots=True)
class _Fetched:
    content: bytes
    from_disk: bool = False


class Blocks:
    """The blocks of one mount's files."""

    def __init__(
        self, inner: Reader, settings: CacheSettings, limits: RemoteLimits, timeouts: Timeouts, disk: NoDisk
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._small = settings.small_object_bytes
        self._timeouts = timeouts
        self._disk = disk
        self._memory: LRU[BlockKey, bytes] = LRU(max_weight=settings.memory_bytes, weight=weight_of_bytes)
        self._window: LRU[BlockKey, bytes] = LRU(max_weight=settings.window_bytes, weight=weight_of_bytes)
        self._running: SingleFlight[_Fetched] = SingleFlight(limits.wait_seconds)
        self.streams = Streams(limits.max_streams, limits.idle_seconds, at_once=timeouts.interruptible)

    def held(self, stat: FileStat, block: int) -> bytes | None:
        """A block, if it is in memory."""
        return self._kept(stat).get((stat.version, block))

    async def get(self, stat: FileStat, block: int, stop: int) -> tuple[bytes, CacheFacts]:
        """A block of the version that *stat* describes, of which the bytes up to *stop* are wanted.

        Raises:
            VersionChanged: that version is gone.
            AssetNotFound, BackendError: as :meth:`Backend.open`.
        """
        content = self.held(stat, block)
        if content is not None:
            return content, HIT
        key = stat.version, block
        joins = self._running.joins(key)
        fetched = await self._running.run(key, lambda: self._fetch(stat, block, stop))
        return fetched.content, HIT if fetched.from_disk else COLLAPSED if joins else MISS

    async def holds(self, stat: FileStat, span: Span) -> bool:
        """Whether all of *span* is cached."""
        start, stop = span.within(stat.size)
        wanted = range(block_at(start), block_at(max(start, stop - 1)) + 1) if start < stop else range(0)
        missing = (block for block in wanted if self.held(stat, block) is None)
        first = next(missing, None)
        return first is None or await self._disk.holds(stat.version, chain([first], missing))

    async def begin(self, path: str, span: Span) -> FileStat:
        """Read *path* for the first time: one request for its metadata and its first block.

        Raises:
            AssetNotFound, BackendError: as :meth:`Backend.open`.
        """
        try:
            opened = await self._inner.open(path, widen(span))
        except RangeNotSatisfiable:
            return await self._inner.stat(path)
        stat = opened.stat
        start, stop = widen(span).within(stat.size)
        block = first_block(span, stat.size)
        if block is None:  # an empty file
            await opened.aclose()
        else:
            await self._take(Stream(opened, start, stop), block)
        return stat

    async def aclose(self) -> None:
        """End what is running, and release every connection."""
        await self._running.aclose()
        await self.streams.aclose()

    async def _fetch(self, stat: FileStat, block: int, stop: int) -> _Fetched:
        version = stat.version
        start, end = bounds(block, stat.size)
        found = await self._disk.block(version, block)
        if found is not None and len(found) == end - start:
            self._kept(stat).put((version, block), found)
            return _Fetched(found, from_disk=True)
        stream = self.streams.take(version, start)
        if stream is None:
            last = bounds(block_at(max(start, stop - 1)), stat.size)[1]
            stream = Stream(await self._open(stat, Span(start, last)), start, last)
        return _Fetched(await self._take(stream, block))

    async def _open(self, stat: FileStat, span: Span) -> AsyncOpenFile:
        changed = VersionChanged(f"{stat.path!r} is no longer the version that was requested", path=stat.path)
        try:
            opened = await self._inner.open(stat.path, span, validator=stat.validator)
        except RangeNotSatisfiable:
            raise changed from None
        if opened.stat.version != stat.version:
            await opened.aclose()
            raise changed
        return opened

    async def _take(self, stream: Stream, block: int) -> bytes:
        """Read *block* from *stream*, whose position is at it or shortly before, and park the stream.

        A small object is read to the end of the stream before any of it is returned or cached, so
        that it is verified first where the storage recorded a checksum.
        """
        stat = stream.opened.stat
        last = block_at(stream.stop - 1) if stat.size <= self._small else block
        taken: list[bytes] = []
        try:
            for number in range(block, last + 1):
                start, end = bounds(number, stat.size)
                content = stream.take_rest() if (start, end) == (stream.at, stream.stop) else None
                if content is None:
                    work = stream.take(start - stream.at, end - start)
                    content = await self._timeouts.within(self._limits.total_seconds, stat.path, work)
                taken.append(content)
        except BaseException as error:
            self.streams.discard(stream)
            if isinstance(error, BodyTruncated):
                self.drop(stat, stream.at)
            raise
        for number, content in enumerate(taken, block):
            self._keep(stat, number, content)
        self.streams.park(stream)
        return taken[0]

    def _keep(self, stat: FileStat, block: int, content: bytes) -> None:
        version = stat.version
        self._kept(stat).put((version, block), content)
        self._disk.keep_block(version, block, content)

    def _kept(self, stat: FileStat) -> LRU[BlockKey, bytes]:
        return self._memory if stat.size <= self._small else self._window

    def drop(self, stat: FileStat, received: int) -> None:
        """Remove the blocks of a body that proved wrong after *received* bytes, also those of earlier requests."""
        version, kept = stat.version, self._kept(stat)
        blocks = set(range(block_at(received) + 1))
        if kept is self._window:  # few blocks, where the size of one object may be any number
            blocks.update(number for held, number in kept if held == version)
        else:
            blocks.update(range(block_at(stat.size) + 1))
        for block in blocks:
            kept.drop((version, block))
        self._disk.drop_blocks(version, sorted(blocks))
