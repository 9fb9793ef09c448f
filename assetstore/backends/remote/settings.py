"""This module owns what a user may choose about remote reads: what is kept, and what is waited for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from os import PathLike

from assetstore.errors import SettingsError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """What a remote mount keeps of its storage.

    Raises:
        SettingsError: a number is out of range.
    """

    #: Bytes of small objects that stay in memory, least recently used out first. Each process has its own.
    memory_bytes: int = 64 * MIB
    #: The largest object that may stay in memory; what is larger is streamed.
    small_object_bytes: int = MIB
    #: Bytes of large objects that are kept a moment, so that clients which read side by side share them.
    window_bytes: int = 16 * MIB
    #: How long the storage's last word on a file is believed before it is asked again. What is named
    #: by a fingerprint never changes and is not asked for again.
    ttl_seconds: float = 10.0
    #: How much longer a file is served while the storage is down (stale-if-error, RFC 5861); a
    #: fingerprinted one for as long as it is held.
    stale_seconds: float = 86_400.0
    #: How long a client waits for a failing storage where an old copy is at hand.
    stale_wait_seconds: float = 1.0
    #: How long a missing file is believed to be missing; 0 asks each time.
    miss_seconds: float = 5.0
    #: How many files' facts are remembered, and how many misses.
    max_paths: int = 20_000
    #: A directory for a disk cache, which survives restarts and may be shared by processes of one
    #: user on one machine; ``None`` for none. It is made, and private to the user.
    disk_path: str | PathLike[str] | None = None
    #: Bytes of that directory at most.
    disk_bytes: int = GIB

    def __post_init__(self) -> None:
        _check(self, least={"max_paths": 1, "disk_bytes": 4 * MIB})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """What a remote mount waits for, and how often it asks.

    Raises:
        SettingsError: a number is out of range.
    """

    #: For a connection.
    connect_seconds: float = 2.0
    #: For the next bytes of an answer.
    read_seconds: float = 5.0
    #: For all attempts together until the first bytes are in hand, and for each further block of a body.
    total_seconds: float = 10.0
    #: Attempts at one request, the first included.
    attempts: int = 3
    #: Faults in a row after which the storage is taken to be down.
    breaker_faults: int = 5
    #: How long a storage that is down is left alone before one request probes it; doubles with each
    #: probe that fails, up to ``breaker_max_seconds``.
    breaker_seconds: float = 1.0
    breaker_max_seconds: float = 30.0
    #: How long a request waits for another that already asks for the same bytes, before it goes alone.
    wait_seconds: float = 5.0
    #: Bodies of large objects that may stand half read while their clients are slow; beyond it, and
    #: after ``idle_seconds``, the connection is given back and the rest is asked for anew.
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
