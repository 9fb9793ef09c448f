"""The current version of a file: cached, requested, or stale.

While a cached version is fresh, it is current. Otherwise it takes a request, one for all clients
that wait: a ``stat`` for a file that was seen before, an ``open`` for a new one, since
its body is wanted too. Where the storage fails, the cached version is served for a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from assetstore.backends.base import CacheFacts, FileStat, Span
from assetstore.backends.reader import Reader
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.blocks import COLLAPSED, HIT, MISS, Blocks
from assetstore.backends.remote.disk import NoDisk
from assetstore.backends.remote.retry import Counters
from assetstore.backends.remote.single_flight import SingleFlight, StillRunning
from assetstore.errors import AssetNotFound, BackendCredentials, BackendUnavailable, BodyTruncated, UnexpectedResponse
from assetstore.util.lru import LRU


@dataclass(frozen=True, slots=True)
class Held:
    """The version that was current at ``checked_at`` (monotonic seconds)."""

    stat: FileStat
    checked_at: float


class MetadataCache:
    """Metadata and misses of one mount's paths, at most ``max_paths`` of each.

    Args:
        immutable: whether a version is the only one that its path ever names (a proven fingerprinted one).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: CacheSettings,
        immutable: Callable[[FileStat], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = clock
        self._settings = settings
        self._immutable = immutable
        self._held: LRU[str, Held] = LRU(settings.max_paths)
        self._misses: LRU[str, float] = LRU(settings.max_paths)
        self._believed_from = self._forgot_at = float("-inf")
        #: Grows with each :meth:`forget`, so that the answer to an earlier request is not cached after it.
        self.generation = 0

    def held(self, path: str) -> Held | None:
        """The last known version of *path*, however old."""
        return self._held.get(path)

    def fresh(self, held: Held) -> bool:
        """Whether *held* is current without a request."""
        if self._immutable(held.stat):
            return True
        return held.checked_at >= self._believed_from and self.now() - held.checked_at < self._settings.ttl_seconds

    def may_be_stale(self, held: Held) -> bool:
        """Whether *held* may be served while the storage fails."""
        window = self._settings.ttl_seconds + self._settings.stale_seconds
        return self._immutable(held.stat) or self.now() - held.checked_at < window

    def missing(self, path: str) -> bool:
        """Whether *path* was missing within the last ``miss_seconds``."""
        until = self._misses.get(path)
        return until is not None and self.now() < until

    def put(self, stat: FileStat, checked_at: float, generation: int) -> Held:
        """Cache *stat*, which was confirmed at *checked_at* by a request made in *generation*.

        What was confirmed before a :meth:`forget` has to be confirmed again. The answer to a request
        made before it is for that caller only.
        """
        if checked_at < self._forgot_at:
            checked_at = self._expired(checked_at)
        hit = stat.through(HIT)
        held = Held(hit, checked_at)
        if generation == self.generation:
            self._misses.drop(stat.path)
            self._held.put(stat.path, held)
        return held

    def miss(self, path: str, generation: int) -> None:
        """Cache that *path* is missing."""
        self._held.drop(path)
        if self._settings.miss_seconds > 0 and generation == self.generation:
            self._misses.put(path, self.now() + self._settings.miss_seconds)

    def drop(self, path: str) -> None:
        """Remove the version of *path*."""
        self._held.drop(path)

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """Something was published: *paths*, or all, have to be confirmed again. Until then they may still be stale.

        Other threads than the one that reads may call this.
        """
        self.generation += 1
        self._forgot_at = self.now()
        if paths is None:
            self._believed_from = self._forgot_at
            self._misses = LRU(self._settings.max_paths)
            return
        for path in paths:
            self._misses.drop(path)
            held = self._held.get(path)
            if held is not None:
                self._held.put(path, replace(held, checked_at=self._expired(held.checked_at)))

    def _expired(self, checked_at: float) -> float:
        """*checked_at*, or the latest time that is no longer fresh."""
        return min(checked_at, self.now() - self._settings.ttl_seconds)


#: What a stale version may stand in for. That a file is missing or forbidden is an answer.
STALE_IF = (BackendUnavailable, BackendCredentials, UnexpectedResponse, BodyTruncated)


class Metadata:
    """The metadata of one mount's files."""

    def __init__(
        self,
        inner: Reader,
        cache: MetadataCache,
        blocks: Blocks,
        disk: NoDisk,
        settings: CacheSettings,
        limits: RemoteLimits,
        counters: Counters,
    ) -> None:
        self._inner = inner
        self._cache = cache
        self._blocks = blocks
        self._disk = disk
        self._patience_seconds = settings.stale_wait_seconds
        self._counters = counters
        self._running: SingleFlight[Held] = SingleFlight(limits.wait_seconds)

    async def current(self, path: str, span: Span | None) -> FileStat:
        """The metadata of *path*, of which *span* will be read (``None``: nothing).

        Raises:
            AssetNotFound: it is missing, or was within the last ``miss_seconds``.
            BackendError: the storage failed, and nothing is cached that may stand in for it.
        """
        if self._cache.missing(path):
            self._counters.count("hit")
            raise AssetNotFound(path, hint="it was missing a few seconds ago")
        held = self._cache.held(path) or await self._from_disk(path)
        if held is None or not self._cache.may_be_stale(held):
            return await self._request(path, span)
        if self._cache.fresh(held):
            return held.stat
        return await self._request_or_stale(path, span, held)

    def leave(self) -> None:
        """Requests from now on do not join those that are running."""
        self._running.leave()

    async def aclose(self) -> None:
        """End what is running."""
        await self._running.aclose()

    async def _request_or_stale(self, path: str, span: Span | None, held: Held) -> FileStat:
        try:
            return await self._request(path, span, self._patience_seconds)
        except StillRunning:
            if not await self._blocks.holds(held.stat, span or Span(0, 0)):
                return await self._request(path, span)
        except STALE_IF:
            if not await self._blocks.holds(held.stat, span or Span(0, 0)):
                raise
        self._counters.count("stale")
        return held.stat.through(CacheFacts("stale", self._cache.now() - held.checked_at))

    async def _request(self, path: str, span: Span | None, patience_seconds: float | None = None) -> FileStat:
        joins = self._running.joins(path)
        self._counters.count("collapsed" if joins else "miss")
        held = await self._running.run(path, lambda: self._confirm(path, span), patience_seconds=patience_seconds)
        return held.stat.through(COLLAPSED if joins else MISS)

    async def _confirm(self, path: str, span: Span | None) -> Held:
        generation, began = self._cache.generation, self._cache.now()
        held = self._cache.held(path)
        try:
            if held is not None:
                stat = await self._stat_again(held.stat)
            elif span is None:
                stat = await self._inner.stat(path)
            else:
                stat = await self._blocks.begin(path, span)
        except AssetNotFound:
            self._cache.miss(path, generation)
            self._disk.drop(path)
            raise
        if generation == self._cache.generation:
            self._disk.keep_metadata(stat)
        return self._cache.put(stat, began, generation)

    async def _stat_again(self, known: FileStat) -> FileStat:
        path = known.path
        try:
            stat = await self._inner.stat(path)
        except AssetNotFound:
            # The 404 of a HEAD has no body to say whether it is the file or the whole bucket that is missing.
            opened = await self._inner.open(path, Span(0, 1))
            stat = opened.stat
            await opened.aclose()
        if known.validator is not None and stat.validator == known.validator and stat.size != known.size:
            raise UnexpectedResponse(
                f"{path!r} has {stat.size} bytes and the ETag of a version of {known.size} bytes", path=path
            )
        return stat

    async def _from_disk(self, path: str) -> Held | None:
        generation = self._cache.generation
        found = await self._disk.metadata(path)
        if found is None:
            return None
        stat, age_seconds = found
        return self._cache.put(stat, self._cache.now() - age_seconds, generation)
