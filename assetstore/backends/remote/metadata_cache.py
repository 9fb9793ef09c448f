"""Metadata in memory: the last known version of each path, when it was confirmed, and which paths are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from assetstore.backends.base import CacheFacts, FileStat
from assetstore.backends.remote.settings import CacheSettings
from assetstore.util.lru import LRU

HIT = CacheFacts("hit")


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
