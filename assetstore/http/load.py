"""From a request to a resource: find the file, choose a representation, read it, and keep it in the cache."""

from __future__ import annotations

import time
from typing import NamedTuple

from assetstore.backends.base import WHOLE, CacheFacts, Span
from assetstore.backends.reader import AsyncOpenFile, SignatureReader
from assetstore.errors import AssetNotFound, VersionChanged
from assetstore.http.cache import Resource, ResponseCache
from assetstore.http.encodings import Encodings
from assetstore.http.etags import EntityTags
from assetstore.http.lookup import Lookup
from assetstore.http.negotiation import Charsets, Negotiator, Selection
from assetstore.http.representation import CachedFile, Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response import Response, respond
from assetstore.http.response_headers import MountHeaders
from assetstore.http.revalidation import DirectoryWatch, Snapshot
from assetstore.http.send import SENDFILE_BYTES, read_whole
from assetstore.http.sendfile import may_go_by_path
from assetstore.mounts.mount import Mount

#: Files that one mount reads into memory at once; what is requested meanwhile is sent as it is read.
MAX_LOADING = 8
#: The largest file that a client is made to wait for where it does not lie on this machine.
MAX_AWAITED_BYTES = 1024 * 1024


class Loaded(NamedTuple):
    """A representation for one request, and the file that holds its bytes where they are not in memory."""

    representation: Representation
    opened: AsyncOpenFile | None


class Loader:
    """Loads the resources of one mount.

    Args:
        mount: where the files are.
        cache: where resources are kept.
        missing: the response to a GET for a file that does not exist.
        bodies: whether the bytes of all files may be kept; not where a proxy sends those that go by their path.
    """

    def __init__(
        self, mount: Mount, policy: MountHeaders, cache: ResponseCache, missing: Response, *, bodies: bool = True
    ) -> None:
        self._mount = mount
        self._cache = cache
        self._missing = missing
        self._bodies = bodies
        self._remote = mount.backend.remote
        self._reader = mount.reader if isinstance(mount.reader, SignatureReader) else None
        self._watch = None if self._reader is None else DirectoryWatch(self._reader)
        self._versions = EntityTags(mount.backend, mount.fingerprinter, mount.resolver)
        self._encodings = Encodings(
            mount.backend, mount.reader, mount.resolver, mount.compress_bytes, self._versions.digests, mount.media_types
        )
        self._lookup = Lookup(mount, self._versions)
        self._charsets = Charsets(mount)
        self._negotiator = Negotiator(policy, self._charsets, self._versions, self._encodings)
        self._loading: set[str] = set()

    def let_go(self, opened: AsyncOpenFile) -> None:
        """The client left before all of *opened* was sent."""
        self._versions.let_go(opened.stat)

    def close(self) -> None:
        """End the background threads; the next use starts others."""
        self._charsets.close()
        self._encodings.close()

    async def load(self, key: str, file: str, request: AssetRequest, max_bytes: int | None = None) -> Loaded:
        """The representation that *request* gets of *file*, with what is needed to respond with it.

        Who gets it closes the file. The resource is kept in the cache as *key* if what was read is one state of
        the files; with its bytes where they fit, and are fewer than *max_bytes*.

        Raises:
            UnsafePath, AssetNotFound: there is no such asset for clients.
            BackendError: storage failed; ``VersionChanged`` and ``BodyTruncated`` if the file changed meanwhile.
        """
        # Taken before the files are looked at: what changes from now on is noticed at the next check.
        snapshot = Snapshot(self._watch, file)
        try:
            selection = await self._select(file, request, snapshot)
        except AssetNotFound:
            if snapshot.is_keepable:
                self._cache.put(key, Resource(snapshot.revalidation(), missing=self._missing))
            raise
        if selection.chosen.size >= SENDFILE_BYTES or not self._bodies:
            selection = self._with_way(selection, file)
        if selection.provisional or not _is_settled(selection.stat.cache) or not snapshot.is_keepable:
            return Loaded(selection.chosen, selection.opened)
        try:
            return await self._keep(key, request, selection, snapshot, max_bytes)
        except BaseException:
            await selection.aclose()
            raise

    async def _select(self, file: str, request: AssetRequest, snapshot: Snapshot) -> Selection:
        now = time.time()
        for span in self._spans(request):
            found = await self._lookup.find(file, span, snapshot)
            try:
                selection = await self._negotiator.select(found, request, snapshot, now)
            except BaseException:
                await found.aclose()
                raise
            if selection.opened is not None or not respond(request, selection.chosen, now).needs_file:
                return selection
        raise VersionChanged(f"{file!r} would not be opened as it was looked up", path=file)

    def _with_way(self, selection: Selection, file: str) -> Selection:
        """*selection* for the URL of *file*, knowing whether a server or a proxy may send it by itself."""
        real_path: str | None = getattr(selection.opened, "real_path", None)
        named = selection.stat.path == file and self._mount.split(file)[1] is not None
        if real_path is None or may_go_by_path(selection.chosen.full, real_path, named=named):
            return selection
        return selection._replace(chosen=selection.chosen._replace(by_path=False))

    def _spans(self, request: AssetRequest) -> tuple[Span | None, ...]:
        """What of the file to open, until the response has what it needs; ``None`` is to look at it only.

        Opening a local file costs no more than looking at it, and of a remote one it is a request with a body.
        """
        if request.head and self._remote:
            return (None,)
        spans = (WHOLE,) if request.ranges is None else (request.ranges.hint, WHOLE)
        return (None, *spans) if self._remote and request.conditional else spans

    async def _keep(
        self, key: str, request: AssetRequest, selection: Selection, snapshot: Snapshot, max_bytes: int | None
    ) -> Loaded:
        chosen, opened = selection.chosen, selection.opened
        if opened is not None and (self._bodies or not chosen.by_path):
            if self._is_read_whole(key, request, chosen, max_bytes):
                chosen = chosen._replace(content=await self._read(key, opened))
            elif self._reader is not None and opened.stat.signature is not None:
                chosen = chosen._replace(file=CachedFile(self._reader, opened.stat.path, opened.stat.signature))
        resource, revalidation = self._cache.get(key), snapshot.revalidation()
        if resource is None or not resource.is_about(revalidation, selection.codings, selection.identity):
            resource = Resource(revalidation, codings=selection.codings, identity=selection.identity)
        resource.add(chosen)
        self._cache.put(key, resource)
        return Loaded(chosen, opened)

    def _is_read_whole(self, key: str, request: AssetRequest, chosen: Representation, max_bytes: int | None) -> bool:
        """Whether the whole file is sent, and may be kept; a client of a slow storage waits for no large one."""
        limit = self._cache.max_body if self._reader is not None else min(self._cache.max_body, MAX_AWAITED_BYTES)
        if max_bytes is not None and chosen.size >= max_bytes and chosen.by_path:
            return False
        if chosen.size > limit or key in self._loading or len(self._loading) >= MAX_LOADING:
            return False
        if request.ranges is None and not request.conditional:
            return not request.head
        return respond(request, chosen, time.time()).status == 200

    async def _read(self, key: str, opened: AsyncOpenFile) -> tuple[bytes, ...]:
        self._loading.add(key)
        try:
            return await read_whole(opened)
        finally:
            self._loading.discard(key)


def _is_settled(cache: CacheFacts | None) -> bool:
    """Whether a cache before the storage would say the same again."""
    return cache is None or cache.outcome == "hit"
