"""Entity tags, and whether a fingerprint is that of the file which is being sent.

Both come from the stat of what is opened. Where that does not suffice it takes the digest of the
bytes: of a small file it is made first, in a thread; of a large one in the background, and until then
the file has a tag of its own and is not immutable.
"""

from __future__ import annotations

import hashlib
import logging
import time

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import Backend, FileStat
from assetstore.backends.reader import AsyncOpenFile, HoldsVersions
from assetstore.errors import AssetNotFound
from assetstore.http.representation import etag_of_digest, etag_of_stat
from assetstore.names.base import LocalResolver, Resolver, has_bytes_of_its_name
from assetstore.names.digests import CheckedFile, Digests
from assetstore.names.fingerprint import LENGTH, ContentFingerprint, Fingerprint, agree, is_telling
from assetstore.util.lru import LRU

#: A request waits for the digest of a file of up to so many bytes (a millisecond); larger ones have it later.
WAIT_BYTES = 1024 * 1024
#: Larger remote files are not fetched to be hashed; what a manifest vouches for is checked while it is sent.
MAX_REMOTE_BYTES = 64 * 1024 * 1024
#: A file of up to so many bytes is hashed on the event loop: handing it to a thread costs as much (60 microseconds).
LOOP_BYTES = 16 * 1024
#: How many files one mount hashes at once while requests wait.
MAX_HASHING = 2


#: Names of one mount that promise never to change, of which the digest is kept, at about 250 bytes each.
MAX_PROMISES = 50_000

_log = logging.getLogger("assetstore")


class EntityTags:
    """Tells the versions of one mount's files apart."""

    def __init__(self, backend: Backend, fingerprint: Fingerprint | None, resolver: Resolver) -> None:
        self._backend = backend
        self._fingerprint = fingerprint
        self._resolver = resolver
        self._by_content = isinstance(fingerprint, ContentFingerprint)
        self._remote = backend.remote
        # Only a publish records digests with names.
        self._published = None if isinstance(resolver, LocalResolver) else resolver
        #: Of the mount's files.
        self.digests = Digests() if fingerprint is None else fingerprint.digests
        self._limiter = CapacityLimiter(MAX_HASHING)
        #: The content of files whose name promises that it never changes, and those that broke the promise.
        self._first: LRU[str, str] = LRU(MAX_PROMISES)
        self._changed: LRU[str, bool] = LRU(MAX_PROMISES)

    async def tag(self, stat: FileStat) -> tuple[str | None, bool]:
        """The entity tag of the plain bytes, and whether it will be another one once the digest of this version is known.

        There is none only for remote files of which nothing is reported.
        """
        if self._remote or not self._is_of_digest(stat):
            return etag_of_stat(stat), False
        digest = await self._digest(stat)
        return (_etag_of_version(stat), True) if digest is None else (etag_of_digest(digest), False)

    async def is_current(self, stat: FileStat, fingerprint: str) -> bool | None:
        """Whether *fingerprint* is that of the plain file which *stat* describes; ``None`` if that is not known yet."""
        if stat.fingerprint is not None:
            return agree(stat.fingerprint, fingerprint)
        if stat.published_fingerprint is not None and agree(stat.published_fingerprint, fingerprint):
            return True
        if self._fingerprint is None:
            return False
        if self._fingerprint.needs_digest(stat) and await self._digest(stat) is None and self._is_too_large(stat):
            return None
        return self._fingerprint.is_of(fingerprint, stat, self._backend)

    async def is_retained(self, stat: FileStat) -> bool | None:
        """Whether what is stored under a fingerprinted name has the bytes of that name; ``None`` as above."""
        known = self._has_bytes_of_its_name(stat, self.digests.known(stat))
        if known is not None:
            return known
        if not self.is_published(stat.path) and (not self._by_content or self._remote):
            return False
        digest = await self._digest(stat)
        return None if digest is None else self._has_bytes_of_its_name(stat, digest) is True

    def checked(self, opened: AsyncOpenFile, keeper: HoldsVersions | None) -> AsyncOpenFile | None:
        """*opened*, which is stored under a fingerprinted name, as a file that is checked while all of it is sent.

        ``None`` where no manifest says what its bytes are, or where that is known already. A response of the whole
        file may then be immutable, and nothing of it may be kept before its end.

        Args:
            keeper: the reader if it keeps what it has read; it forgets the version if the bytes are others.
        """
        stat = opened.stat
        stored = self._resolver.stored(stat.path)
        if stored is None or stored.size != stat.size:
            return None
        if self._has_bytes_of_its_name(stat, self.digests.known(stat)) is not None:
            return None
        return CheckedFile(
            opened,
            stored.sha256,
            matched=lambda: self.digests.put(stat, stored.sha256),
            differed=lambda: None if keeper is None else keeper.refute(stat),
        )

    def needs_digest(self, stat: FileStat, *, promised: bool = False) -> bool:
        """Whether the bytes have to be hashed to tell what this version is, and that was not done yet.

        *promised*: its name says that they never change, so they are compared with what they were.
        """
        stored = None if self._published is None else self._published.stored(stat.path)
        if stored is not None:
            needed = stored.size == stat.size and not self._has_bytes_of_its_name(stat, None)
        else:
            needed = stat.signature is not None and (promised or self._is_of_digest(stat))
        return needed and self.digests.known(stat) is None

    async def hash(self, stat: FileStat, content: bytes) -> None:
        """Keep the digest of *content*, all the bytes of that version."""
        if len(content) <= LOOP_BYTES:
            self.digests.put(stat, hashlib.sha256(content).hexdigest())
        else:
            digest = await to_thread.run_sync(hashlib.sha256, content, limiter=self._limiter)
            self.digests.put(stat, digest.hexdigest())

    def let_go(self, stat: FileStat) -> None:
        """The client left before all of *stat* was sent: nobody may be left who wants its digest."""
        self.digests.let_go(stat)

    def _has_bytes_of_its_name(self, stat: FileStat, digest: str | None) -> bool | None:
        length = LENGTH if self._fingerprint is None else self._fingerprint.length
        return has_bytes_of_its_name(stat, self._resolver, digest, by_content=self._by_content, length=length)

    def is_published(self, path: str) -> bool:
        """Whether a manifest says which bytes are stored under *path*."""
        return self._resolver.stored(path) is not None

    async def is_unchanged(self, stat: FileStat) -> bool | None:
        """Whether the file has the content that it had when this process first served it; ``None`` as above.

        For names that were made of the content, and so promise that it never changes.
        """
        content = stat.sha256 or (stat.validator if self._remote else await self._digest(stat))
        if content is None:
            return False if self._remote else None
        first = self._first.get(stat.path)
        if first is None:
            self._first.put(stat.path, content)
        elif first != content:
            if self._changed.get(stat.path) is None:
                self._changed.put(stat.path, True)
                _log.error(
                    "%r in %s changed, though immutable= says that its name was made of its content: caches keep the old "
                    "one for a year. It is now sent as a plain file; build it under another name, or narrow immutable=.",
                    stat.path,
                    self._backend.label,
                )
            return False
        return True

    def _is_of_digest(self, stat: FileStat) -> bool:
        """Whether the tag is made of the digest: so that all servers of a fleet say the same, or as no time tells."""
        if self._by_content or not is_telling(stat.mtime_ns, time.time_ns()):
            return True
        if self._published is None:
            return False
        known = self._published.find(stat.path)
        return known is not None and known.sha256 is not None

    def _is_too_large(self, stat: FileStat) -> bool:
        """Whether the file is not read for its digest alone."""
        return self._remote and stat.size > MAX_REMOTE_BYTES

    async def _digest(self, stat: FileStat) -> str | None:
        """SHA-256 of the bytes; ``None`` where that version is gone, or is too large to wait for."""
        if (known := self.digests.known(stat)) is not None:
            return known
        if stat.size > WAIT_BYTES:
            return None if self._is_too_large(stat) else self.digests.soon(stat, self._backend)
        try:
            return await to_thread.run_sync(self.digests.now, stat, self._backend, limiter=self._limiter)
        except AssetNotFound:  # deleted while it is open: what is open is still sent
            return None


def _etag_of_version(stat: FileStat) -> str:
    """A tag that no other version has, on this machine alone: until the digest is known."""
    return etag_of_digest(hashlib.sha256(repr(stat.version).encode()).hexdigest())
