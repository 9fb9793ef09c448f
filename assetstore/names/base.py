"""Logical path to fingerprinted path: an asset, and what resolves its name.

A resolver answers from memory or from a local ``stat``; it never touches the network and never
raises for a missing file. Which resolver a mount has is decided once, when it is built: a
manifest if one is given, an index for a remote backend, else :class:`LocalResolver`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from assetstore.assets import paths
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, BackendError
from assetstore.names import fingerprint as fingerprints
from assetstore.names.fingerprint import Fingerprint, fingerprint_of
from assetstore.references.reference import Reference
from assetstore.util.background import Contact
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: How long a local stat is kept, in seconds. Together with what the response cache keeps it stays under the
#: second within which a saved file must be seen.
STAT_SECONDS = 0.4
#: How many names one mount keeps.
MAX_NAMES = 20_000


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


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes that a publish stored under one name."""

    size: int
    #: 64 lower-case hex digits.
    sha256: str
    #: Of the asset's plain bytes, where these are in a coding.
    plain_sha256: str | None = None
    #: The validator that the target gave to the object, where it gives any.
    validator: str | None = None
    #: Content-Type of the asset, as published.
    content_type: str = ""


class Resolver(Protocol):
    """Answers what an asset is called, without the network."""

    def find(self, path: str) -> Asset | None:
        """The asset at logical *path*; ``None`` if there is none, or none is known yet."""

    def all(self) -> Iterator[Asset]:
        """Every asset that is known, in no promised order."""

    def paths(self) -> Iterator[str]:
        """The logical path of every asset that is known; no file is read for it."""

    def stored(self, path: str) -> Stored | None:
        """What a publish stored under *path*, fingerprinted or not, in whatever coding; ``None`` if that is not known."""

    def close(self) -> None:
        """End every thread; the next use starts another."""


@runtime_checkable
class BackgroundResolver(Protocol):
    """A resolver that reads its names in the background, so that it may not know one yet."""

    @property
    def contact(self) -> Contact | None:
        """How the last request for names ended; ``None`` before the first has, and where none is made."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no name at all, as far as is known."""

    def start(self) -> None:
        """Begin to read, if that has not begun."""

    def knows(self, path: str) -> bool:
        """Whether ``find`` knows: before that, ``None`` does not mean missing."""

    def wait(self, seconds: float, path: str | None = None) -> bool:
        """Wait up to *seconds* until the names are read, or that of *path*; whether they are. Not for the event loop.

        It ends early where storage fails.
        """

    def refresh(self) -> None:
        """Read the names again.

        Raises:
            BackendError: storage failed; the names that were known stay.
        """


def has_bytes_of_its_name(
    stat: FileStat, resolver: Resolver, digest: str | None, *, by_content: bool, length: int = fingerprints.LENGTH
) -> bool | None:
    """Whether what is stored under a fingerprinted name has the bytes that belong to the name.

    ``None`` where nothing says so, or not yet: what a publish recorded with the object, the size and
    digest of a manifest, the digest of the bytes where names are made of them.

    Args:
        digest: SHA-256 of the bytes, where it is known.
        by_content: whether the mount's names are made of that.
        length: digits of the mount's fingerprints.
    """
    named = fingerprints.split(stat.path, length)[1]
    if named is None:
        return None
    if stat.fingerprint is not None:
        return fingerprints.agree(stat.fingerprint, named)
    if any(
        known is not None and fingerprints.agree(known, named) for known in (stat.published_fingerprint, stat.sha256)
    ):
        return True
    stored = resolver.stored(stat.path)
    if stored is None:
        return True if by_content and digest is not None and fingerprints.agree(digest, named) else None
    if stored.size != stat.size:
        return False
    if stored.validator is not None and stored.validator == stat.validator:
        return True
    return None if digest is None else digest == stored.sha256


class LocalResolver:
    """Answers from a ``stat`` of a local backend, which is kept for less than half a second."""

    def __init__(self, backend: Backend, fingerprint: Fingerprint | None, seconds: float = STAT_SECONDS) -> None:
        self._backend = backend
        self._fingerprint = fingerprint
        self._seconds = seconds
        self._found: LRU[str, tuple[float, Asset | None]] = LRU(MAX_NAMES)

    def find(self, path: str) -> Asset | None:
        now = time.monotonic()
        until, asset = self._found.get(path, (0.0, None))
        if now < until:
            return asset
        asset = self._look(path)
        # One that is still being hashed has its name as soon as that is done.
        if asset is None or asset.fingerprint is not None or self._fingerprint is None:
            self._found.put(path, (now + self._seconds, asset))
        return asset

    def all(self) -> Iterator[Asset]:
        for stat in self._backend.walk():
            yield Asset(stat.path, self._named(stat), stat)

    def paths(self) -> Iterator[str]:
        files = getattr(self._backend, "inner", self._backend)  # a rewritten tree is rewritten where it is listed
        yield from (stat.path for stat in files.walk())

    def stored(self, path: str) -> Stored | None:
        return None

    def forget(self) -> None:
        """Drop every stat that is kept."""
        self._found.clear()

    def close(self) -> None:
        """End the background thread that hashes."""
        if self._fingerprint is not None:
            self._fingerprint.close()

    def _look(self, path: str) -> Asset | None:
        try:
            stat = self._backend.stat(path)
            return Asset(path, self._named(stat), stat)
        except AssetNotFound:
            return None
        except BackendError as error:
            _log.warning("no fingerprint for %r in %s: %s", path, self._backend.label, error)
            return None

    def _named(self, stat: FileStat) -> str | None:
        return fingerprint_of(stat, self._fingerprint, self._backend, soon=True)
