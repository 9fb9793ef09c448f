"""This module owns what an asset is called now: logical path to fingerprinted path.

A resolver answers from memory or from a local ``stat``; it never touches the network and never
raises for a missing file. Which resolver a mount has is decided once, when it is wired: a
manifest if one is given, an index for a remote backend, else :class:`LiveResolver`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from assetstore.assets import paths
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, BackendError
from assetstore.names import fingerprint as fingerprints
from assetstore.names.fingerprint import ContentFingerprint, Fingerprinter
from assetstore.references.reference import Reference

_log = logging.getLogger("assetstore")

#: How long a local stat is remembered. Together with what serving remembers it stays under the
#: second within which a saved file must be seen.
STAT_SECONDS = 0.4
#: How many names one mount remembers.
REMEMBERED = 20_000
#: Files up to this many bytes are hashed where ``url_for`` was called; larger ones in a thread.
HASH_INLINE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """What is known of an asset's name."""

    #: Logical path.
    path: str
    fingerprint: str | None = None
    stat: FileStat | None = None
    #: Subresource Integrity value (``sha384-…``), where a manifest recorded it.
    integrity: str | None = None
    #: SHA-256 of the bytes, 64 hex digits, where a manifest recorded it.
    sha256: str | None = None
    #: What a module imports, where a manifest recorded it.
    imports: tuple[Reference, ...] | None = None
    #: Percent-encoded (fingerprinted) path, ready to stand behind a mount's base URL.
    url_path: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url_path", paths.to_url(self.fingerprinted_path))

    @property
    def fingerprinted_path(self) -> str:
        """The path with the fingerprint in it; the plain path where there is none."""
        return self.path if self.fingerprint is None else fingerprints.add(self.path, self.fingerprint)


class Resolver(Protocol):
    """Answers what an asset is called, without the network."""

    def find(self, path: str) -> Asset | None:
        """The asset at logical *path*; ``None`` if there is none, or none is known yet."""

    def all(self) -> Iterator[Asset]:
        """Every asset that is known, in no promised order."""

    def vouches(self, path: str, fingerprint: str) -> bool:
        """Whether a file stored under ``add(path, fingerprint)`` is known to be that very version."""


@runtime_checkable
class Learning(Protocol):
    """A resolver that learns its names in the background, so that it may not know one yet."""

    def start(self) -> None:
        """Begin to learn, if that has not begun."""

    def knows(self, path: str) -> bool:
        """Whether ``find`` answers from knowledge: before that, ``None`` does not mean missing."""

    def refresh(self) -> None:
        """Learn anew.

        Raises:
            BackendError: storage failed; the names that were known stay.
        """


class LiveResolver:
    """Asks a local backend, and remembers each answer for less than half a second."""

    def __init__(self, backend: Backend, fingerprinter: Fingerprinter | None, seconds: float = STAT_SECONDS) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._seconds = seconds
        self._remembered: dict[str, tuple[float, Asset | None]] = {}
        self._hashing: set[str] = set()

    def find(self, path: str) -> Asset | None:
        now = time.monotonic()
        remembered = self._remembered.get(path)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        asset = self._ask(path)
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[path] = (now + self._seconds, asset)
        return asset

    def all(self) -> Iterator[Asset]:
        for stat in self._backend.walk():
            yield Asset(stat.path, self._fingerprint(stat), stat)

    def vouches(self, path: str, fingerprint: str) -> bool:
        return False

    def forget(self) -> None:
        """Drop every remembered answer."""
        self._remembered.clear()

    def _ask(self, path: str) -> Asset | None:
        try:
            stat = self._backend.stat(path)
            return Asset(path, self._fingerprint(stat), stat)
        except AssetNotFound:
            return None
        except BackendError as error:
            _log.warning("no fingerprint for %r in %s: %s", path, self._backend.label, error)
            return None

    def _fingerprint(self, stat: FileStat) -> str | None:
        if stat.fingerprint is not None or self._fingerprinter is None:
            return stat.fingerprint
        if isinstance(self._fingerprinter, ContentFingerprint) and stat.size > HASH_INLINE_BYTES and _on_event_loop():
            return self._known_or_soon(self._fingerprinter, stat)
        return self._fingerprinter.of(stat, self._backend)

    def _known_or_soon(self, fingerprinter: ContentFingerprint, stat: FileStat) -> str | None:
        """What is remembered; else hash in a thread, and give the plain name until it is done."""
        fingerprint = fingerprinter.known(stat)
        if fingerprint is None and stat.path not in self._hashing:
            self._hashing.add(stat.path)
            threading.Thread(target=self._hash, args=(fingerprinter, stat), name="assetstore-hash", daemon=True).start()
        return fingerprint

    def _hash(self, fingerprinter: ContentFingerprint, stat: FileStat) -> None:
        try:
            fingerprinter.of(stat, self._backend)
        except (AssetNotFound, BackendError) as error:
            _log.warning("cannot fingerprint %r in %s: %s", stat.path, self._backend.label, error)
        finally:
            self._hashing.discard(stat.path)
            self._remembered.pop(stat.path, None)


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
