"""Content negotiation (RFC 9110 section 12): the plain bytes of a file, or one of its encodings; and its charset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anyio import CapacityLimiter, to_thread

from assetstore.assets.media_types import TextCheck, is_utf8
from assetstore.backends.base import FileStat
from assetstore.backends.reader import AsyncOpenFile, buffered
from assetstore.errors import AssetStoreError, VersionChanged
from assetstore.http.conditional import ETag, Validators
from assetstore.http.encodings import PLAIN, Encodings, Offer
from assetstore.http.etags import EntityTags
from assetstore.http.lookup import Found
from assetstore.http.representation import AssetHeaders, Representation, cut, etag_of_variant, modified_seconds
from assetstore.http.request import AssetRequest
from assetstore.http.response_headers import MountHeaders, cache_headers
from assetstore.http.revalidation import Snapshot
from assetstore.mounts.mount import Mount
from assetstore.names.digests import unsettled_ns
from assetstore.util.background import DeferredCache
from assetstore.util.lru import LRU

#: Up to so many bytes are checked on the event loop, where they are in memory: about 50 microseconds.
INLINE_BYTES = 64 * 1024
#: A request waits until a file on disk of up to so many bytes is checked, in a thread (3 ms).
WAITED_BYTES = 1024 * 1024
#: Larger ones are checked in the background, up to so many bytes.
MAX_BYTES = 256 * 1024 * 1024
#: How many files one mount checks at once while requests wait.
MAX_CHECKING = 2
#: Who waits for a check longer than this has gone.
WANTED_SECONDS = 600.0
#: Versions whose result one mount keeps, at about 300 bytes each.
MAX_VERSIONS = 20_000

#: A representation that is no plain file, and the file that holds its bytes where they are not in memory.
_Variant = tuple[Representation, AsyncOpenFile | None]


class Selection(NamedTuple):
    """The chosen representation, and the file that holds its bytes where they are not in memory."""

    chosen: Representation
    opened: AsyncOpenFile | None
    #: What was found: the facts of the plain file.
    stat: FileStat
    #: The codings in which it could be had besides its plain bytes, and what tells those apart.
    codings: tuple[str, ...]
    identity: Validators
    #: Whether it will be another one before long though no file changes, so that nothing is to be kept of it.
    provisional: bool = False

    async def aclose(self) -> None:
        """Close the file if there is one."""
        if self.opened is not None:
            await self.opened.aclose()


def preferred(request: AssetRequest, codings: Sequence[str], identity: Validators, now: float) -> str | None:
    """Which of *codings* a request gets; ``None`` for the plain bytes, from which alone parts are cut."""
    coding = request.accepted.choose(codings) if codings and request.accepted.qualities else None
    return None if coding is None or request.wants_part(identity, now) else coding


class Charsets:
    """The Content-Type of the files of one mount; ``charset=utf-8`` stands only where the bytes are UTF-8.

    A wrong charset wins over what a page or style sheet declares itself (HTML standard, "determining the character
    encoding"; CSS Syntax section 3.2), so a file in another encoding would be unreadable. Of a file on disk the bytes
    decide, read once for each version; a large one has no charset until that was done in the background. Of an object
    in a bucket the manifest of its release does, else its bytes where they are sent and the cache has them; until then
    it counts as UTF-8, since a check would cost a request.
    """

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._known: LRU[object, bool] = LRU(MAX_VERSIONS)
        self._limiter = CapacityLimiter(MAX_CHECKING)
        self._large: DeferredCache[FileStat, bool] = DeferredCache(
            self._read,
            key=lambda stat: stat.version,
            cost=lambda stat: stat.size,
            wanted_seconds=WANTED_SECONDS,
            max_count=MAX_VERSIONS,
            what="check the charset of",
            name="assetstore-charset",
        )

    def close(self) -> None:
        """End the background thread; the next use starts another."""
        self._large.close()

    async def content_type(self, found: Found) -> tuple[str, bool]:
        """The Content-Type of the file that was *found*, and whether it may be another one before long."""
        kind, stat = self._mount.media_types.kind(found.logical), found.stat
        if not kind.is_text or not stat.size:
            return kind.content_type, False
        remote = self._mount.backend.remote
        if not remote and stat.size > WAITED_BYTES:
            known = self._large.soon(stat) if stat.size <= MAX_BYTES else False
            return (kind.content_type if known else kind.media_type), known is None
        if not remote and stat.size <= INLINE_BYTES:
            content = buffered(found.opened, 0, stat.size)
            if content is not None:
                return (kind.content_type if is_utf8(content) else kind.media_type), False
        known = self._known.get(stat.version)
        if known is None:
            try:
                known = await (self._remote(found) if remote else self._local(stat))
            except VersionChanged:
                raise
            except AssetStoreError:  # reading the body reports it
                known = None
            if known is not None and unsettled_ns(stat) <= 0:
                self._known.put(stat.version, known)
        return (kind.media_type if known is False else kind.content_type), False

    async def _local(self, stat: FileStat) -> bool | None:
        return await to_thread.run_sync(self._read, stat, limiter=self._limiter)

    def _read(self, stat: FileStat) -> bool | None:
        opened = self._mount.backend.open(stat.path)
        try:
            if opened.stat.version != stat.version:
                return None
            check = TextCheck()
            for chunk in opened.chunks(0, stat.size):
                if self._large.is_closing:
                    return None
                check.update(chunk)
        finally:
            opened.close()
        check.end()
        return check.is_utf8

    async def _remote(self, found: Found) -> bool | None:
        stat = found.stat
        stored = self._mount.resolver.stored(stat.path)
        if stored is not None and stored.size == stat.size and stored.content_type:
            return "charset=utf-8" in stored.content_type
        content = None if stat.coding is not None else buffered(found.opened, 0, stat.size)
        return None if content is None else is_utf8(content)


class Negotiator:
    """Chooses among the representations of one mount's files."""

    def __init__(self, policy: MountHeaders, charsets: Charsets, versions: EntityTags, encodings: Encodings) -> None:
        self._policy = policy
        self._charsets = charsets
        self._versions = versions
        self._encodings = encodings

    async def select(self, found: Found, request: AssetRequest, snapshot: Snapshot, now: float) -> Selection:
        """The representation that *request* gets of what was *found* (RFC 9110 section 12).

        Parts are cut from the plain bytes, so they are chosen whenever a part is wanted. What was
        opened goes into the selection or is closed, unless this raises. Every sibling that is looked at is
        recorded in *snapshot*.
        """
        stat = found.stat
        offer = await self._encodings.offer(stat, found.logical, snapshot)
        media_type, unchecked = await self._charsets.content_type(found)
        facts = self._facts(found, media_type, now)
        etag, provisional = await self._versions.tag(stat)
        provisional = provisional or unchecked or offer.provisional or found.provisional
        if stat.coding in offer.codings:
            return await self._select_coded(found, request, now, facts, etag, provisional)
        identity = facts.represent(stat.size, etag, varies=bool(offer.codings), coding=stat.coding)
        codings = offer.codings
        coding = preferred(request, codings, identity.validators, now) if codings else None
        if coding in offer.later:
            if found.opened is not None:
                await self._encodings.make_later(stat, coding, found.opened)
            return Selection(identity, found.opened, stat, codings, identity.validators, provisional=True)
        if coding is not None:
            if coding in offer.unproven:
                facts = self._facts(found._replace(verified=False), facts.media_type, now)
            variant = await self._variant(found, offer, coding, facts)
            if variant is not None:
                await found.aclose()
                return Selection(*variant, stat, codings, identity.validators, provisional)
            codings = tuple(each for each in codings if each != coding)
            if not codings:  # nothing would be gained, so it does not vary
                identity = facts.represent(stat.size, etag, varies=False, coding=stat.coding)
        return Selection(identity, found.opened, stat, codings, identity.validators, provisional)

    async def _select_coded(
        self, found: Found, request: AssetRequest, now: float, facts: AssetHeaders, etag: str | None, provisional: bool
    ) -> Selection:
        """As :meth:`select`, for what is stored in a coding: who cannot read it, or wants a part, gets plain bytes."""
        stat = found.stat
        codings = (stat.coding,) if stat.coding is not None else ()
        tag = None if etag is None else f"{etag}-{PLAIN}"  # made of the stored bytes alone, so known before it is made
        identity = Validators(None if tag is None else ETag(tag), facts.modified)
        if preferred(request, codings, identity, now) is None:
            content = await self._encodings.make(stat, PLAIN, found.opened)
            if content is not None:
                await found.aclose()
                plain = facts.represent(len(content), tag, varies=True, content=cut(content))
                return Selection(plain, None, stat, codings, identity, provisional)
        stored = facts.represent(stat.size, etag, varies=True, coding=stat.coding)
        return Selection(stored, found.opened, stat, codings, identity, provisional)

    def _facts(self, found: Found, media_type: str, now: float) -> AssetHeaders:
        policy, path = self._policy, found.logical
        extra = policy.of(path)
        if found.stat.cache is not None:
            extra = (*extra, *cache_headers(found.stat.cache))
        return AssetHeaders(
            media_type=media_type,
            cache_control=policy.cache_control(path, immutable=found.verified, current=found.current),
            extra=extra,
            modified=modified_seconds(found.stat, now),
        )

    async def _variant(self, found: Found, offer: Offer, coding: str, facts: AssetHeaders) -> _Variant | None:
        sibling = offer.siblings.get(coding)
        if sibling is not None:
            return await self._sibling(found, sibling, coding, facts)
        content = await self._encodings.make(found.stat, coding, found.opened)
        if content is None:
            return None
        tag = etag_of_variant(content, coding)
        return facts.represent(len(content), tag, varies=True, coding=coding, content=cut(content)), None

    async def _sibling(self, found: Found, sibling: FileStat, coding: str, facts: AssetHeaders) -> _Variant | None:
        """The sibling as a representation; it is opened if its file was."""
        opened = None
        if found.opened is not None:
            opened = await self._encodings.open_sibling(found.stat, sibling)
            if opened is None:
                return None
            sibling = opened.stat
        try:
            etag, _ = await self._versions.tag(sibling)
        except BaseException:
            if opened is not None:
                await opened.aclose()
            raise
        tag = None if etag is None else f"{etag}-{coding}"
        return facts.represent(sibling.size, tag, varies=True, coding=coding), opened
