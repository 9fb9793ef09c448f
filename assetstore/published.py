"""This module owns what a mount takes from a manifest: the published names, and which bytes bear them.

Web servers whose files have other times, or that have no files at all, then give exactly the
published names; and one whose bytes are not the published ones does not pass them off as such.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from assetstore import fingerprint as fingerprints
from assetstore import manifest as manifests
from assetstore.backends import open_backend
from assetstore.backends.base import Backend, FileStat, read_bytes
from assetstore.errors import AssetNotFound, BackendError, ManifestError
from assetstore.fingerprint import ContentFingerprint, Fingerprinter
from assetstore.manifest import Entry, Manifest
from assetstore.resolver import Asset


def read(where: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Manifest:
    """The manifest at a path or an fsspec URL; *storage_options* go to what a URL names.

    Raises:
        ManifestError: it is missing, cannot be read, is not ours, or is of a newer format.
        SettingsError: the URL's scheme is unknown, or its library is not installed.
    """
    spelled = os.fspath(where)
    folder, name = posixpath.split(spelled) if scheme(spelled) else os.path.split(os.path.abspath(spelled))
    advice = "write it with 'assetstore publish --manifest PATH', or correct manifest="
    try:
        data = read_bytes(open_backend(folder, storage_options, must_exist=False), name)
    except AssetNotFound:
        raise ManifestError(f"there is no manifest at {spelled}; {advice}") from None
    except BackendError as error:
        raise ManifestError(f"the manifest at {spelled} cannot be read: {error}") from error
    return manifests.load(data, spelled)


def scheme(where: str) -> str:
    """The scheme of a URL, lower case; ``""`` for a path."""
    return where.partition("://")[0].lower() if "://" in where else ""


class ManifestResolver:
    """Answers what an asset is called from one manifest, and from nothing else."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._vouched = manifest.retained.union(manifest.fingerprinted())
        self._assets: dict[str, Asset] = {}

    def find(self, path: str) -> Asset | None:
        asset = self._assets.get(path)
        if asset is None and (entry := self.manifest.entries.get(path)) is not None:
            asset = self._assets[path] = _asset(entry)
        return asset

    def all(self) -> Iterator[Asset]:
        yield from map(_asset, self.manifest.entries.values())

    def vouches(self, path: str, fingerprint: str) -> bool:
        return fingerprints.add(path, fingerprint) in self._vouched


def _asset(entry: Entry) -> Asset:
    return Asset(entry.path, entry.fingerprint, integrity=entry.integrity, sha256=entry.sha256, imports=entry.imports)


class PublishedFingerprint:
    """The fingerprint that a manifest gave to these very bytes; else what *otherwise* makes of them.

    A server that still has yesterday's file must not send it as immutable under today's name, so
    bytes are compared, not times. Each version is read once.
    """

    reads = True

    def __init__(self, manifest: Manifest, otherwise: Fingerprinter | None) -> None:
        self._entries = manifest.entries
        self._otherwise = otherwise
        self._bytes = ContentFingerprint()

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        entry = self._entries.get(stat.path)
        if entry is not None and self._is(entry, stat, backend):
            return entry.fingerprint
        return None if self._otherwise is None else self._otherwise.of(stat, backend)

    def _is(self, entry: Entry, stat: FileStat, backend: Backend) -> bool:
        """Whether *stat* is of the published bytes, as they are or in a coding in which they were stored."""
        stored = [(each.size, each.sha256) for each in entry.stored if each.coding == stat.coding]
        wanted = dict([(entry.size, entry.sha256), *stored])
        return stat.size in wanted and self._bytes.of(stat, backend) == wanted[stat.size]
