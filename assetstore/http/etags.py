"""This module owns telling versions of a file apart: its entity tag, and whether a fingerprint is its own.

Both come from the stat of what is opened. Where that does not suffice the bytes are hashed, in a
thread, and the digest is remembered.
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound
from assetstore.http.representation import etag_of_digest, etag_of_stat
from assetstore.names.base import Resolver
from assetstore.names.fingerprint import ContentFingerprint, Fingerprinter

#: Files up to this many bytes whose time tells nothing are hashed anew each time they are looked up.
REHASH_BYTES = 1024 * 1024
#: How many files one mount hashes at once.
MAX_HASHING = 2


class Versions:
    """Tells the versions of one mount's files apart."""

    def __init__(self, backend: Backend, fingerprinter: Fingerprinter | None, resolver: Resolver) -> None:
        self._backend = backend
        self._fingerprinter = fingerprinter
        self._resolver = resolver
        self._by_content = isinstance(fingerprinter, ContentFingerprint)
        self._digests = fingerprinter if isinstance(fingerprinter, ContentFingerprint) else ContentFingerprint()
        self._limiter = CapacityLimiter(MAX_HASHING)

    async def etag(self, stat: FileStat) -> str | None:
        """The entity tag of the plain bytes; ``None`` only for remote files of which nothing is reported."""
        if stat.sha256 is None and not self._backend.remote and (self._by_content or self._is_published(stat.path)):
            digest = await self._hash(self._digests, stat)
            if digest is not None:
                return etag_of_digest(digest)
        tag = etag_of_stat(stat)
        if tag is not None or self._backend.remote:
            return tag
        # Its time is pinned, so it does not tell whether a digest that is remembered still holds.
        digests = ContentFingerprint() if stat.size <= REHASH_BYTES else self._digests
        digest = await self._hash(digests, stat)
        return None if digest is None else etag_of_digest(digest)

    async def is_current(self, stat: FileStat, fingerprint: str) -> bool:
        """Whether *fingerprint* is that of the plain file which *stat* describes."""
        if stat.fingerprint is not None:
            return stat.fingerprint == fingerprint
        if stat.published_fingerprint == fingerprint:
            return True
        return self._fingerprinter is not None and await self._hash(self._fingerprinter, stat) == fingerprint

    async def is_retained(self, stat: FileStat, path: str, fingerprint: str) -> bool:
        """Whether the file stored under a fingerprinted name is that very version of *path*."""
        if stat.fingerprint is not None:
            return stat.fingerprint == fingerprint
        if fingerprint in {stat.published_fingerprint, stat.sha256} or self._resolver.vouches(path, fingerprint):
            return True
        return self._by_content and await self._digest(stat) == fingerprint

    def _is_published(self, path: str) -> bool:
        """Whether a manifest tells the digest of *path*, so that all servers of a fleet can say the same."""
        known = self._resolver.find(path)
        return known is not None and known.sha256 is not None

    async def _digest(self, stat: FileStat) -> str | None:
        """SHA-256 of the bytes, if that needs no network."""
        if stat.sha256 is not None or self._backend.remote:
            return stat.sha256
        return await self._hash(self._digests, stat)

    async def _hash(self, fingerprinter: Fingerprinter, stat: FileStat) -> str | None:
        if isinstance(fingerprinter, ContentFingerprint) and (known := fingerprinter.known(stat)) is not None:
            return known
        if not fingerprinter.reads:
            return fingerprinter.of(stat, self._backend)
        try:
            return await to_thread.run_sync(fingerprinter.of, stat, self._backend, limiter=self._limiter)
        except AssetNotFound:  # deleted while it is open: what is open is still sent
            return None
