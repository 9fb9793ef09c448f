"""This module owns what is remembered of each path: its facts, since when, and that it is missing.

Nothing here asks anybody: a look says whether the storage has to be asked.
"""

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
    """The facts of the version that was current at ``checked_at`` (monotonic seconds)."""

    stat: FileStat
    checked_at: float


class Known:
    """Facts and misses of one mount's paths, both bounded in number.

    Args:
        immutable: whether a path names one version for ever (a fingerprinted one).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: CacheSettings,
        immutable: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = clock
        self._settings = settings
        self._immutable = immutable
        self._facts: LRU[str, Held] = LRU(settings.max_paths)
        self._misses: LRU[str, float] = LRU(settings.max_paths)
        self._believed_from = self._forgot_at = float("-inf")
        #: Grows with each :meth:`forget`, so that an answer asked for before it is not believed after it.
        self.generation = 0

    def held(self, path: str) -> Held | None:
        """What is remembered of *path*, however old."""
        return self._facts.get(path)

    def fresh(self, held: Held) -> bool:
        """Whether *held* may be given out without asking."""
        if self._immutable(held.stat.path):
            return True
        return held.checked_at >= self._believed_from and self.now() - held.checked_at < self._settings.ttl_seconds

    def may_be_stale(self, held: Held) -> bool:
        """Whether *held* may be given out while the storage does not answer."""
        window = self._settings.ttl_seconds + self._settings.stale_seconds
        return self._immutable(held.stat.path) or self.now() - held.checked_at < window

    def missing(self, path: str) -> bool:
        """Whether *path* was missing a moment ago."""
        until = self._misses.get(path)
        return until is not None and self.now() < until

    def put(self, stat: FileStat, checked_at: float, generation: int) -> Held:
        """Remember *stat*, which was confirmed at *checked_at* and asked for in *generation*.

        What was confirmed before a :meth:`forget` has to be confirmed again. What was asked for before
        it is good enough for who asked, but not for the next.
        """
        if checked_at < self._forgot_at:
            checked_at = self._expired(checked_at)
        hit = stat.through(HIT)
        held = Held(hit, checked_at)
        if generation == self.generation:
            self._misses.drop(stat.path)
            self._facts.put(stat.path, held)
        return held

    def miss(self, path: str, generation: int) -> None:
        """Remember that *path* is missing, and that what was held of it is gone."""
        self._facts.drop(path)
        if self._settings.miss_seconds > 0 and generation == self.generation:
            self._misses.put(path, self.now() + self._settings.miss_seconds)

    def drop(self, path: str) -> None:
        """Believe nothing of *path* any more."""
        self._facts.drop(path)

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """Something was published: ask again for *paths*, or for all. Old copies still serve an outage.

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
            held = self._facts.get(path)
            if held is not None:
                self._facts.put(path, replace(held, checked_at=self._expired(held.checked_at)))

    def _expired(self, checked_at: float) -> float:
        """*checked_at*, or as long ago as it takes not to be believed any more."""
        return min(checked_at, self.now() - self._settings.ttl_seconds)
