"""This module owns what is the current version of a file: remembered, asked for, or stale.

Where the storage was asked not long ago its word still counts. Else it is asked, by one request
for all who want to know; a file seen before costs a ``stat``, a new one is opened at once, since
its body is what is wanted. Where the storage fails, what was seen before is given within a window.
"""

from __future__ import annotations

from assetstore.backends.base import CacheFacts, FileStat, Span
from assetstore.backends.reader import Reader
from assetstore.backends.remote.blocks import COLLAPSED, MISS, Blocks
from assetstore.backends.remote.counters import Counters
from assetstore.backends.remote.disk import Shelf
from assetstore.backends.remote.metadata_cache import Held, Known
from assetstore.backends.remote.settings import CacheSettings, RemoteLimits
from assetstore.backends.remote.single_flight import Flights, StillFlying
from assetstore.errors import AssetNotFound, BackendCredentials, BackendUnavailable

#: What an old copy may stand in for. That a file is missing or forbidden is an answer, not an outage.
OUTAGES = (BackendUnavailable, BackendCredentials)


class Facts:
    """The facts of one mount's files."""

    def __init__(
        self,
        inner: Reader,
        known: Known,
        blocks: Blocks,
        shelf: Shelf | None,
        settings: CacheSettings,
        limits: RemoteLimits,
        counters: Counters,
    ) -> None:
        self._inner = inner
        self._known = known
        self._blocks = blocks
        self._shelf = shelf
        self._patience_seconds = settings.stale_wait_seconds
        self._counters = counters
        self._flights: Flights[Held] = Flights(limits.wait_seconds)
        self._reads: Flights[Held | None] = Flights(limits.wait_seconds)  # of the disk

    async def current(self, path: str, span: Span | None) -> FileStat:
        """The facts of *path*, of which *span* will be read (``None``: nothing).

        Raises:
            AssetNotFound: it is missing, or was a moment ago.
            BackendError: the storage failed, and nothing that may stand in for it is held.
        """
        if self._known.missing(path):
            self._counters.count("hit")
            raise AssetNotFound(path, hint="it was missing a moment ago")
        held = self._known.held(path)
        if held is None and self._shelf is not None:
            held = await self._reads.run(path, lambda: self._from_disk(path))
        if held is not None and self._known.fresh(held):
            return held.stat
        if held is not None and self._known.may_be_stale(held):
            return await self._asked_or_stale(path, span, held)
        return await self._asked(path, span)

    def leave(self) -> None:
        """Whoever asks from now on asks the storage anew."""
        self._flights.leave()

    async def aclose(self) -> None:
        """End what is under way."""
        await self._flights.aclose()
        await self._reads.aclose()

    async def _asked_or_stale(self, path: str, span: Span | None, held: Held) -> FileStat:
        try:
            return await self._asked(path, span, self._patience_seconds)
        except StillFlying:
            if not await self._blocks.holds(held.stat, span or Span(0, 0)):
                return await self._asked(path, span)
        except OUTAGES:
            if not await self._blocks.holds(held.stat, span or Span(0, 0)):
                raise
        self._counters.count("stale")
        return held.stat.through(CacheFacts("stale", self._known.now() - held.checked_at))

    async def _asked(self, path: str, span: Span | None, patience_seconds: float | None = None) -> FileStat:
        joins = self._flights.joins(path)
        self._counters.count("collapsed" if joins else "miss")
        held = await self._flights.run(path, lambda: self._ask(path, span), patience_seconds=patience_seconds)
        return held.stat.through(COLLAPSED if joins else MISS)

    async def _ask(self, path: str, span: Span | None) -> Held:
        generation, asked_at = self._known.generation, self._known.now()
        try:
            if span is None or self._known.held(path) is not None:
                stat = await self._inner.stat(path)
            else:
                stat = await self._blocks.begin(path, span)
        except AssetNotFound:
            self._known.miss(path, generation)
            if self._shelf is not None:
                self._shelf.drop(path)
            raise
        if self._shelf is not None and generation == self._known.generation:
            self._shelf.keep_facts(stat)
        return self._known.put(stat, asked_at, generation)

    async def _from_disk(self, path: str) -> Held | None:
        assert self._shelf is not None
        generation = self._known.generation
        found = await self._shelf.facts(path)
        if found is None:
            return None
        stat, age_seconds = found
        return self._known.put(stat, self._known.now() - age_seconds, generation)
