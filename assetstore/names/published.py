"""This module owns what a mount takes from a manifest: the published names, and which bytes bear them.

Web servers whose files have other times, or that have no files at all, then give exactly the
published names; and one whose bytes are not the published ones does not pass them off as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from assetstore.backends.base import Backend, FileStat
from assetstore.names import fingerprint as fingerprints
from assetstore.names.base import Asset
from assetstore.names.fingerprint import ContentFingerprint, Fingerprinter
from assetstore.names.manifest import Entry, Manifest
from assetstore.names.manifest_file import ManifestFile
from assetstore.util.background import Refresher


class ManifestResolver:
    """Answers what an asset is called from one manifest, and from nothing else."""

    def __init__(self, manifest: Manifest) -> None:
        self._take(manifest)

    def _take(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._vouched = manifest.retained.union(manifest.fingerprinted())
        # Last: who finds these empty makes them of the manifest above.
        self._assets: dict[str, Asset] = {}

    def find(self, path: str) -> Asset | None:
        assets = self._assets
        asset = assets.get(path)
        if asset is None and (entry := self.manifest.entries.get(path)) is not None:
            asset = assets[path] = _asset(entry)
        return asset

    def all(self) -> Iterator[Asset]:
        yield from map(_asset, self.manifest.entries.values())

    def vouches(self, path: str, fingerprint: str) -> bool:
        return fingerprints.add(path, fingerprint) in self._vouched


class FollowedResolver(ManifestResolver):
    """Answers from the manifest in a file, which is read again, when asked, if another one lies in its place.

    Raises:
        ManifestError: there is none that can be read.
    """

    def __init__(self, file: ManifestFile) -> None:
        self._file = file
        manifest, self._stat = file.read()
        super().__init__(manifest)

    def start(self) -> None:
        """It was read when the mount was wired."""

    def knows(self, path: str) -> bool:
        """A manifest is whole, or is none."""
        return True

    def refresh(self) -> None:
        """Read the manifest if it is another one.

        Raises:
            ManifestError: it is gone, or cannot be read; the names that were known stay.
        """
        self._follow()

    def _follow(self) -> None:
        if not self._file.is_still(self._stat):
            manifest, self._stat = self._file.read()
            self._take(manifest)


class WatchedResolver(FollowedResolver):
    """As :class:`FollowedResolver`, for a manifest behind a network: looked at again within *refresh_seconds*."""

    def __init__(self, file: ManifestFile, refresh_seconds: float) -> None:
        super().__init__(file)
        what = f"read the manifest at {file.where}"
        self._refreshing = Refresher(self._follow, what, refresh_seconds, "assetstore-manifest")

    def find(self, path: str) -> Asset | None:
        self._refreshing.start()
        return self._assets.get(path) or super().find(path)

    def start(self) -> None:
        """Begin to look, if that has not begun."""
        self._refreshing.start()

    def refresh(self) -> None:
        self._refreshing.now()


def _asset(entry: Entry) -> Asset:
    return Asset(entry.path, entry.fingerprint, integrity=entry.integrity, sha256=entry.sha256, imports=entry.imports)


class HasManifest(Protocol):
    """What takes its names from a manifest."""

    @property
    def manifest(self) -> Manifest:
        """The current one."""


class PublishedFingerprint:
    """The fingerprint that a manifest gave to these very bytes; else what *otherwise* makes of them.

    A server that still has yesterday's file must not send it as immutable under today's name, so
    bytes are compared, not times. Each version is read once.
    """

    reads = True

    def __init__(self, names: HasManifest, otherwise: Fingerprinter | None) -> None:
        self._names = names
        self._otherwise = otherwise
        self._bytes = ContentFingerprint()

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        entry = self._names.manifest.entries.get(stat.path)
        if entry is not None and self._is(entry, stat, backend):
            return entry.fingerprint
        return None if self._otherwise is None else self._otherwise.of(stat, backend)

    def _is(self, entry: Entry, stat: FileStat, backend: Backend) -> bool:
        """Whether *stat* is of the published bytes, as they are or in a coding in which they were stored."""
        stored = [(each.size, each.sha256) for each in entry.stored if each.coding == stat.coding]
        wanted = dict([(entry.size, entry.sha256), *stored])
        return stat.size in wanted and self._bytes.of(stat, backend) == wanted[stat.size]
