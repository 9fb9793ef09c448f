"""Backends that cross a network: what a mount caches of one, and how long it waits (``CacheSettings``, ``RemoteLimits``).

:mod:`assetstore.backends.remote.reader` puts a guard (deadlines, retries, circuit breaker) and a cache around a remote
reader. Neither knows HTTP, or what the storage is. Local directories get neither.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from os import PathLike

from assetstore.errors import SettingsError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """What a remote mount caches of its storage.

    Raises:
        SettingsError: a number is out of range.
    """

    #: Bytes of small objects in memory; the least recently used are evicted. Each process has its own.
    memory_bytes: int = 64 * MIB
    #: The largest object that is cached in memory, in bytes; larger ones are streamed.
    small_object_bytes: int = MIB
    #: Bytes of large objects in memory, so that clients which read one side by side share its blocks.
    window_bytes: int = 16 * MIB
    #: Seconds for which a version is current before the storage is requested again. A fingerprinted
    #: file never changes and is not requested again.
    ttl_seconds: float = 10.0
    #: Seconds for which it may be served after that while the storage fails (stale-if-error, RFC
    #: 5861); a fingerprinted one for as long as it is cached.
    stale_seconds: float = 86_400.0
    #: Seconds that a client waits for a slow storage where a stale version is cached.
    stale_wait_seconds: float = 1.0
    #: Seconds for which a missing file is taken to be missing; 0 asks each time.
    miss_seconds: float = 5.0
    #: Paths whose metadata is cached, and as many that are missing.
    max_paths: int = 20_000
    #: Directory of a disk cache, which survives restarts and may be shared by the processes of one
    #: user on one machine; ``None`` for none. It is created, and private to the user.
    disk_path: str | PathLike[str] | None = None
    #: The most that this directory may hold, in bytes.
    disk_bytes: int = GIB

    def __post_init__(self) -> None:
        _check(self, least={"max_paths": 1, "disk_bytes": 4 * MIB})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """How long a remote mount waits for its storage, and how often it retries.

    Raises:
        SettingsError: a number is out of range.
    """

    #: Seconds for a connection.
    connect_seconds: float = 2.0
    #: Seconds for the next bytes of a response.
    read_seconds: float = 5.0
    #: Seconds for all attempts together until the first bytes, and for each further block of a body.
    total_seconds: float = 10.0
    #: Attempts at one request, the first included.
    attempts: int = 3
    #: Failures in a row after which the storage is taken to be down: no answer, 5xx, throttling,
    #: refused credentials. A file that was read before is probed first.
    breaker_faults: int = 5
    #: Seconds without requests while the storage is down, before one probes it; doubles with each
    #: probe that fails, up to ``breaker_max_seconds``.
    breaker_seconds: float = 1.0
    breaker_max_seconds: float = 30.0
    #: Seconds that a request waits for a running one for the same bytes, before it is sent itself.
    wait_seconds: float = 5.0
    #: Bodies of large objects that may be parked half read while their clients are slow; beyond it,
    #: and after ``idle_seconds``, the connection is released and the rest is requested again.
    max_streams: int = 32
    idle_seconds: float = 5.0

    def __post_init__(self) -> None:
        _check(self, least={"attempts": 1, "breaker_faults": 1, "max_streams": 1})


def _check(settings: CacheSettings | RemoteLimits, least: dict[str, int]) -> None:
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name == "disk_path":
            continue
        wanted = least.get(each.name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= wanted:
            kind = type(settings).__name__
            raise SettingsError(f"{kind}({each.name}={value!r}): give a number of {wanted} or more")


__all__ = ["CacheSettings", "Remote", "RemoteLimits", "remote"]
