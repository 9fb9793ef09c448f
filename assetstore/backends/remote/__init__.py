"""This module owns how remote reads are wired: which reader stands around which.

A guard around the storage (deadlines, attempts, breaker), and a cache around the guard. None of
them knows HTTP, or what the storage is. Local directories get neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from assetstore.backends.reader import Reader
from assetstore.backends.remote.blocks import Blocks
from assetstore.backends.remote.breaker import Breaker
from assetstore.backends.remote.counters import Counters
from assetstore.backends.remote.deadline import Deadlines
from assetstore.backends.remote.disk import DiskCache, Shelf
from assetstore.backends.remote.guard import GuardedReader
from assetstore.backends.remote.metadata import Facts
from assetstore.backends.remote.metadata_cache import Known
from assetstore.backends.remote.reader import CachedReader
from assetstore.backends.remote.retry import Attempts
from assetstore.backends.remote.settings import CacheSettings, RemoteLimits

__all__ = ["CacheSettings", "CachedReader", "Remote", "RemoteLimits", "remote"]


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote mount's way of reading, and what can be seen of it."""

    reader: CachedReader
    #: The same without what is remembered: every call asks the storage.
    direct: Reader
    counters: Counters


def remote(
    reader: Reader,
    label: str,
    *,
    cache: CacheSettings | None = None,
    limits: RemoteLimits | None = None,
    immutable: Callable[[str], bool] = lambda path: False,
    clock: Callable[[], float] = time.monotonic,
) -> Remote:
    """Put the guard and the cache around *reader*.

    Args:
        label: what operators call the storage; it also tells mounts apart in a shared disk cache.
        immutable: whether a path names one version for ever, as a fingerprinted one does.
        clock: monotonic seconds, for freshness.

    Raises:
        SettingsError: the directory of the disk cache is no good.
    """
    cache, limits = cache or CacheSettings(), limits or RemoteLimits()
    counters, deadlines = Counters(), Deadlines(label, interruptible=getattr(reader, "interruptible", False))
    breaker = Breaker(limits.breaker_faults, limits.breaker_seconds, limits.breaker_max_seconds)
    guarded = GuardedReader(reader, Attempts(label, limits, breaker, counters, deadlines))
    shelf = None if cache.disk_path is None else Shelf(label, DiskCache(cache.disk_path, cache.disk_bytes))
    known = Known(cache, immutable, clock=clock)
    blocks = Blocks(guarded, cache, limits, deadlines, shelf)
    facts = Facts(guarded, known, blocks, shelf, cache, limits, counters)
    return Remote(CachedReader(guarded, known, facts, blocks, shelf, counters), guarded, counters)
