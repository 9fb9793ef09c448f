"""Charset by content: ``charset=utf-8`` stands only where the bytes are UTF-8 and declare nothing else.

A wrong charset wins over what a page or style sheet declares itself (HTML standard, "determining the character
encoding"; CSS Syntax section 3.2), so that a file in another encoding would be unreadable.
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread

from assetstore.assets.media_types import TextCheck, is_utf8
from assetstore.backends.base import FileStat
from assetstore.backends.reader import buffered
from assetstore.errors import AssetStoreError, VersionChanged
from assetstore.http.lookup import Found
from assetstore.mounts.mount import Mount
from assetstore.names.digests import unsettled_ns
from assetstore.util.lru import LRU

#: Up to so many bytes are checked on the event loop, where they are in memory: about 50 microseconds.
INLINE_BYTES = 64 * 1024
#: Of a larger file on disk so many bytes are checked, in a thread: a request waits for no more (3 ms).
MAX_BYTES = 1024 * 1024
#: How many files one mount checks at once while requests wait.
MAX_CHECKING = 2
#: Versions whose result one mount keeps, at about 300 bytes each.
MAX_VERSIONS = 20_000


class Charsets:
    """Which text files of one mount are UTF-8; each version is read once.

    Of a file on disk its first bytes tell. Of an object in a bucket the manifest of its release does, else its bytes
    where they are sent and the cache has them; until then it is taken for UTF-8, since a check would be a request more.
    """

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._known: LRU[object, bool] = LRU(MAX_VERSIONS)
        self._limiter = CapacityLimiter(MAX_CHECKING)

    async def content_type(self, found: Found) -> str:
        """The Content-Type of the file that was *found*."""
        kind, stat = self._mount.media_types.kind(found.logical), found.stat
        if not kind.is_text or not stat.size:
            return kind.content_type
        if stat.size <= INLINE_BYTES and not self._mount.backend.remote:
            content = buffered(found.opened, 0, stat.size)
            if content is not None:
                return kind.content_type if is_utf8(content) else kind.media_type
        known = self._known.get(stat.version)
        if known is None:
            try:
                known = await (self._remote(found) if self._mount.backend.remote else self._local(stat))
            except VersionChanged:
                raise
            except AssetStoreError:  # reading the body reports it
                known = None
            if known is not None and unsettled_ns(stat) <= 0:
                self._known.put(stat.version, known)
        return kind.media_type if known is False else kind.content_type

    async def _local(self, stat: FileStat) -> bool | None:
        return await to_thread.run_sync(self._read, stat, limiter=self._limiter)

    def _read(self, stat: FileStat) -> bool | None:
        opened = self._mount.backend.open(stat.path)
        try:
            if opened.stat.version != stat.version:
                return None
            check = TextCheck()
            for chunk in opened.chunks(0, min(stat.size, MAX_BYTES)):
                check.update(chunk)
        finally:
            opened.close()
        if stat.size <= MAX_BYTES:
            check.end()
        return check.is_utf8

    async def _remote(self, found: Found) -> bool | None:
        stat = found.stat
        stored = self._mount.resolver.stored(stat.path)
        if stored is not None and stored.size == stat.size and stored.content_type:
            return "charset=utf-8" in stored.content_type
        content = None if stat.coding is not None else buffered(found.opened, 0, stat.size)
        return None if content is None else is_utf8(content)
