"""Lookup: which file a URL means, and whether the URL's fingerprint is that of its bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

import anyio

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.reader import AsyncOpenFile, HoldsVersions, buffered
from assetstore.errors import AssetNotFound, RangeNotSatisfiable, UnexpectedResponse, UnsafePath
from assetstore.http.etags import WAIT_BYTES, EntityTags
from assetstore.http.revalidation import Snapshot
from assetstore.http.send import read_whole
from assetstore.mounts.mount import Mount
from assetstore.names.base import Asset
from assetstore.names.digests import unsettled_ns

#: A local file of up to so many bytes is read when it is opened, if the page cache holds it (20 microseconds).
INLINE_BYTES = 64 * 1024


class Found(NamedTuple):
    """The file that a URL means."""

    stat: FileStat
    #: The file, where it was opened; then ``stat`` is its own.
    opened: AsyncOpenFile | None
    #: Logical path, without the fingerprint of the URL.
    logical: str
    #: The URL's fingerprint is that of this very version.
    verified: bool = False
    #: The URL asks for no other version than this.
    current: bool = True
    #: Whether the fingerprint is that of this version will be known before long, so that nothing is to be kept of it.
    provisional: bool = False

    async def aclose(self) -> None:
        """Close the file if it is open."""
        if self.opened is not None:
            await self.opened.aclose()


class ReadFile:
    """An opened file all of whose bytes are in memory."""

    __slots__ = ("_content", "_opened", "stat")

    def __init__(self, opened: AsyncOpenFile, content: bytes) -> None:
        self.stat = opened.stat
        self._opened = opened
        self._content = content

    @property
    def real_path(self) -> str | None:
        """As of the file that was opened."""
        return getattr(self._opened, "real_path", None)

    def buffered(self, start: int, stop: int) -> bytes:
        """As :func:`assetstore.backends.reader.buffered`."""
        return self._content if stop - start == len(self._content) else self._content[start:stop]

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """As :meth:`AsyncOpenFile.chunks`, in one piece."""
        yield self.buffered(start, stop)

    async def aclose(self) -> None:
        """Close the file."""
        await self._opened.aclose()


class Lookup:
    """Finds the files of one mount."""

    def __init__(self, mount: Mount, versions: EntityTags) -> None:
        self._mount = mount
        self._versions = versions
        self._keeper = mount.reader if isinstance(mount.reader, HoldsVersions) else None

    async def find(self, file: str, span: Span | None, snapshot: Snapshot) -> Found:
        """What *file*, the path inside the mount as the client spelled it, means.

        It is opened where *span* says what will be read; with ``None`` it is only looked at. Who
        gets it closes it. Every file that is looked at is recorded in *snapshot*.

        Raises:
            UnsafePath, AssetNotFound: there is no such asset for clients.
            BackendError: storage failed.
        """
        path, (logical, fingerprint) = file, self._mount.parse(file)
        if not self._mount.allows(path):
            raise AssetNotFound(path, self._mount.backend.label, "its extension is not in allowed_ext")
        if fingerprint is not None:
            return await self._find_version(path, logical, fingerprint, span, snapshot)
        found = await self._take(path, path, span, snapshot)
        return await self._promised(found) if self._is_promised(path) else found

    def _is_promised(self, path: str) -> bool:
        """Whether ``immutable=`` of the mount says that the name of *path* was made of its content."""
        return bool(self._mount.immutable) and self._mount.immutable.holds(path)

    async def _promised(self, found: Found) -> Found:
        """*found*, whose name was made of its content, as verified for as long as the content stays the same."""
        try:
            return _judged(found, await self._versions.is_unchanged(found.stat))
        except BaseException:
            await found.aclose()
            raise

    async def _find_version(
        self, path: str, logical: str, fingerprint: str, span: Span | None, snapshot: Snapshot
    ) -> Found:
        """The plain file if the fingerprint is its own, else the file of that name, else the plain file as it is.

        What was found has to prove itself. Of remote storage each look is a request, so there the plain file
        is looked at first only if its known name has this fingerprint. Of a published directory the plain file
        is not looked at first: the next publish replaces it, and what is stored under a fingerprinted name never.
        """
        plain: Found | None = None
        missing: AssetNotFound | None = None
        current: bool | None = None
        try:
            if self._mount.backend.remote:
                known = self._mount.resolver.find(logical)
                plain_first = known is not None and known.fingerprint == fingerprint
            else:
                known, plain_first = None, not self._versions.is_published(path)
            if plain_first:
                try:
                    plain = await self._take_held(known, span) or await self._take(logical, logical, span, snapshot)
                except AssetNotFound as error:
                    missing = error
                else:
                    current = await self._versions.is_current(plain.stat, fingerprint)
                    if current:
                        return _judged(plain, current)
            retained, refuted = await self._take_retained(path, logical, span, snapshot)
            if retained is not None:
                if plain is not None:
                    await plain.aclose()
                return retained
            if missing is not None:
                raise missing
            if plain is None:
                plain = await self._take(logical, logical, span, snapshot)
                current = await self._versions.is_current(plain.stat, fingerprint)
            if refuted and current is False:
                raise UnexpectedResponse(
                    f"{path!r} in {self._mount.backend.label} does not hold the bytes that were published under "
                    "that name; publish again, or copy the files again",
                    path=path,
                )
            return _judged(plain, current, is_current=current is not False)
        except BaseException:
            if plain is not None:
                await plain.aclose()
            raise

    async def _take_held(self, asset: Asset | None, span: Span | None) -> Found | None:
        """The very version that the fingerprint names, if the reader has it in its cache: without a request."""
        if self._keeper is None or asset is None or asset.stat is None or asset.stat.validator is None:
            return None
        validator = asset.stat.validator
        stat = self._keeper.held(asset.path, validator)
        if stat is None or span is None:
            return None if stat is None else Found(stat, None, asset.path)
        opened = await self._mount.reader.open(asset.path, span, validator=validator)
        return Found(opened.stat, opened, asset.path)

    async def _take_retained(
        self, path: str, logical: str, span: Span | None, snapshot: Snapshot
    ) -> tuple[Found | None, bool]:
        """The file that is stored under the fingerprinted name, and whether there is one that has other bytes."""
        if snapshot.is_absent(path):
            return None, False
        try:
            found = await self._take(path, logical, span, snapshot)
        except (AssetNotFound, UnsafePath):  # no backend has names that are too long with their fingerprint
            return None, False
        try:
            checked = self._versions.checked(found.opened, self._keeper) if span is WHOLE and found.opened else None
            if checked is not None:  # while it is sent; until then nothing of it is kept
                return found._replace(opened=checked, verified=True, provisional=True), False
            verified = await self._versions.is_retained(found.stat)
        except BaseException:
            await found.aclose()
            raise
        if verified is not False or not self._versions.is_published(path):
            return _judged(found, verified), False
        await found.aclose()
        if self._keeper is not None:
            self._keeper.refute(found.stat)  # the next request asks the storage again
        return None, True

    async def _take(self, path: str, logical: str, span: Span | None, snapshot: Snapshot) -> Found:
        reader = self._mount.reader
        try:
            if span is not None:
                try:
                    opened = await reader.open(path, span)
                    if span is WHOLE and 0 < opened.stat.size <= WAIT_BYTES:
                        opened = await self._read(opened)
                except RangeNotSatisfiable:  # the response needs the file's length, and none of its bytes
                    pass
                else:
                    snapshot.saw(opened.stat)
                    return Found(self._as_coded(opened.stat, logical), opened, logical)
            stat = await reader.stat(path)
        except AssetNotFound:
            snapshot.saw_none(path)
            raise
        snapshot.saw(stat)
        return Found(self._as_coded(stat, logical), None, logical)

    async def _read(self, opened: AsyncOpenFile) -> AsyncOpenFile:
        """A small file with its bytes, where its digest is needed, or where they need not be waited for.

        So a file is read once for its digest, its charset, its coding and its body.

        Raises:
            BodyTruncated, VersionChanged, BackendError: it cannot be read. The file is closed then.
        """
        stat = opened.stat
        try:
            content = None
            if self._versions.needs_digest(stat, promised=self._is_promised(stat.path)):
                if (wait_ns := unsettled_ns(stat)) > 0:
                    await anyio.sleep(wait_ns / 1e9)
                content = b"".join(await read_whole(opened))
                await self._versions.hash(stat, content)
            elif stat.size <= INLINE_BYTES and stat.signature is not None:
                content = buffered(opened, 0, stat.size)
            return opened if content is None else ReadFile(opened, content)
        except BaseException:
            await opened.aclose()
            raise

    def _as_coded(self, stat: FileStat, logical: str) -> FileStat:
        """*stat* with the coding that the file's format implies where the storage recorded none: gzip for ``.svgz``."""
        coding = self._mount.media_types.kind(logical).coding
        return stat if coding is None or stat.coding is not None else replace(stat, coding=coding)


def _judged(found: Found, verified: bool | None, *, is_current: bool = True) -> Found:
    return found._replace(verified=verified is True, current=is_current, provisional=verified is None)
