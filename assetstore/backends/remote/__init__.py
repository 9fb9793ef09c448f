"""What surrounds every remote backend: a guard (deadlines, retries, circuit breaker), and a cache around it.

Neither knows HTTP, or what the storage is. Local directories get neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assetstore.backends.base import FileStat
from assetstore.backends.reader import Reader
from assetstore.backends.remote.settings import CacheSettings, RemoteLimits

if TYPE_CHECKING:
    from assetstore.backends.remote.guard import GuardedReader
    from assetstore.backends.remote.reader import CachedReader
    from assetstore.backends.remote.retry import Counters

__all__ = ["CacheSettings", "Remote", "RemoteLimits", "remote"]


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
    # Local mounts, and what only asks for settings, need none of these.
    from assetstore.backends.remote.blocks import Blocks
    from assetstore.backends.remote.deadline import Timeouts
    from assetstore.backends.remote.disk import DiskCache, DiskStore, NoDisk
    from assetstore.backends.remote.guard import GuardedReader
    from assetstore.backends.remote.metadata import Metadata, MetadataCache
    from assetstore.backends.remote.reader import CachedReader
    from assetstore.backends.remote.retry import Breaker, Counters

    cache, limits = cache or CacheSettings(), limits or RemoteLimits()
    counters, timeouts = Counters(), Timeouts(label, interruptible=getattr(reader, "interruptible", False))
    breaker = Breaker(limits.breaker_faults, limits.breaker_seconds, limits.breaker_max_seconds)
    guarded = GuardedReader(reader, label, limits, breaker, counters, timeouts)
    disk = NoDisk() if cache.disk_path is None else DiskStore(label, DiskCache(cache.disk_path, cache.disk_bytes))
    metadata_cache = MetadataCache(cache, immutable, clock=clock)
    blocks = Blocks(guarded, cache, limits, timeouts, disk)
    metadata = Metadata(guarded, metadata_cache, blocks, disk, cache, limits, counters)
    return Remote(CachedReader(guarded, reader, metadata_cache, metadata, blocks, disk, counters), guarded, counters)
