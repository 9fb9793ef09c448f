"""Lookup: which file a URL means, and whether the URL's fingerprint is that of its bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from assetstore.assets.media_types import coding_of
from assetstore.backends.base import FileStat, Span
from assetstore.backends.reader import AsyncOpenFile, HoldsVersions
from assetstore.errors import AssetNotFound, RangeNotSatisfiable, UnexpectedResponse, UnsafePath
from assetstore.http.etags import EntityTags
from assetstore.http.revalidation import Snapshot
from assetstore.mounts.mount import Mount
from assetstore.names.base import Asset


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
        path = self._mount.clean(file)
        if not self._mount.allows(path):
            raise AssetNotFound(path, self._mount.backend.label, "its extension is not in allowed_ext")
        logical, fingerprint = self._mount.split(path)
        if fingerprint is not None:
            return await self._find_version(path, logical, fingerprint, span, snapshot)
        found = await self._take(path, path, span, snapshot)
        return await self._promised(found) if self._mount.immutable.holds(path) else found

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
        is looked at first only if its known name has this fingerprint.
        """
        plain: Found | None = None
        missing: AssetNotFound | None = None
        current: bool | None = None
        try:
            known = self._mount.resolver.find(logical) if self._mount.backend.remote else None
            if not self._mount.backend.remote or (known is not None and known.fingerprint == fingerprint):
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
            verified = await self._versions.is_retained(found.stat)
        except BaseException:
            await found.aclose()
            raise
        if verified is not False or not self._versions.is_published(path):
            return _judged(found, verified), False
        await found.aclose()
        if self._keeper is not None:
            self._keeper.forget([path])  # the next request asks the storage again
        return None, True

    async def _take(self, path: str, logical: str, span: Span | None, snapshot: Snapshot) -> Found:
        reader = self._mount.reader
        try:
            if span is not None:
                try:
                    opened = await reader.open(path, span)
                except RangeNotSatisfiable:  # the response needs the file's length, and none of its bytes
                    pass
                else:
                    snapshot.saw(opened.stat)
                    return Found(_as_coded(opened.stat, logical), opened, logical)
            stat = await reader.stat(path)
        except AssetNotFound:
            snapshot.saw_none(path)
            raise
        snapshot.saw(stat)
        return Found(_as_coded(stat, logical), None, logical)


def _as_coded(stat: FileStat, logical: str) -> FileStat:
    """*stat* with the coding that the file's format implies where the storage recorded none: gzip for ``.svgz``."""
    coding = coding_of(logical)
    return stat if coding is None or stat.coding is not None else replace(stat, coding=coding)


def _judged(found: Found, verified: bool | None, *, is_current: bool = True) -> Found:
    return found._replace(verified=verified is True, current=is_current, provisional=verified is None)
