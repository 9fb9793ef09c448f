"""Names from a manifest: the published ones, and which bytes they belong to.

Web servers whose files have other times, or that have no files at all, then give exactly the
published names; and one whose bytes are not the published ones does not pass them off as such.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from assetstore.assets.compression import SUFFIXES
from assetstore.backends.base import Backend, FileStat
from assetstore.names import fingerprint as fingerprints
from assetstore.names.base import Asset, BackgroundResolver, Resolver, Stored
from assetstore.names.fingerprint import Fingerprint, fingerprint_of
from assetstore.names.manifest import Entry, Manifest, ManifestFile, StoredObject
from assetstore.util.background import Contact, Refresher

_log = logging.getLogger("assetstore")

#: What a root without a release has.
_NO_RELEASE = Manifest("", datetime(1970, 1, 1, tzinfo=UTC), None, {})
#: How many names are kept ready, beside the manifest.
MAX_ASSETS = 20_000
#: How often a wait for the first look checks whether it has failed, in seconds.
WAIT_STEP_SECONDS = 0.02
#: How soon a release that is published to a directory is seen, in seconds.
LOCAL_REFRESH_SECONDS = 1.0


class ManifestResolver:
    """Answers what an asset is called from one manifest, and from nothing else."""

    def __init__(self, manifest: Manifest) -> None:
        self._take(manifest)

    def _take(self, manifest: Manifest) -> None:
        self.manifest = manifest
        # Last: who finds these empty makes them of the manifest above.
        self._assets: dict[str, Asset] = {}

    def find(self, path: str) -> Asset | None:
        assets = self._assets
        asset = assets.get(path)
        if asset is None and (entry := self.manifest.entries.get(path)) is not None:
            if len(assets) >= MAX_ASSETS:
                assets.clear()
            asset = assets[path] = _asset(entry)
        return asset

    def all(self) -> Iterator[Asset]:
        yield from map(_asset, self.manifest.entries.values())

    def paths(self) -> Iterator[str]:
        yield from list(self.manifest.entries)

    def stored(self, path: str) -> Stored | None:
        plain = next((path.removesuffix(each) for each in SUFFIXES.values() if path.endswith(each)), path)
        entries, length = self.manifest.entries, self.manifest.fingerprint_length or fingerprints.LENGTH
        for name in dict.fromkeys((path, plain)):
            entry = entries.get(name) or entries.get(fingerprints.split(name, length)[0])
            for each in () if entry is None else entry.stored:
                if entry is not None and each.path == path:
                    of_plain = None if each.coding is None else entry.sha256
                    return Stored(each.size, each.sha256, of_plain, each.validator, entry.content_type)
        retained = self.manifest.retained_digests.get(path)
        return None if retained is None else Stored(*retained)

    def close(self) -> None:
        """It has no thread."""


class FollowedResolver(ManifestResolver):
    """Names from the manifest in a file; :meth:`refresh` reads it again if it changed.

    Raises:
        ManifestError: there is none that can be read.
    """

    def __init__(self, file: ManifestFile) -> None:
        self._file = file
        manifest, self._stat = file.read()
        super().__init__(manifest)

    @property
    def contact(self) -> Contact | None:
        return None

    @property
    def is_empty(self) -> bool:
        return not self.manifest.entries

    def start(self) -> None:
        """It was read when the mount was built."""

    def knows(self, path: str) -> bool:
        """A manifest is whole, or is none."""
        return True

    def wait(self, seconds: float, path: str | None = None) -> bool:
        """A manifest is whole from the start."""
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

    @property
    def contact(self) -> Contact | None:
        """How the last look ended; ``None`` before the first has."""
        return self._refreshing.contact

    def refresh(self) -> None:
        self._refreshing.now()

    def close(self) -> None:
        self._refreshing.close()


class ReleaseResolver:
    """Names of a root that may have been published to: those of its live release, else what *otherwise* gives.

    A local root is known to hold a release; whether a remote one does is found out in the background.

    Args:
        file: of the live release.
        otherwise: names where there is no release.
        refresh_seconds: within how many seconds a publish or rollback is seen.
    """

    def __init__(self, file: ManifestFile, otherwise: Resolver, refresh_seconds: float) -> None:
        self._file = file
        #: Whose names hold where there is no release.
        self.otherwise = otherwise
        self._live: ManifestResolver | None = None
        self._stat: FileStat | None = None
        self._looked = threading.Event()
        what = f"read the live release of {file.where}"
        self._refreshing = Refresher(self._look, what, refresh_seconds, "assetstore-release")
        if not file.remote:
            self._refreshing.now()

    @property
    def manifest(self) -> Manifest:
        """That of the live release; an empty one where there is none."""
        live = self._live
        return _NO_RELEASE if live is None else live.manifest

    @property
    def contact(self) -> Contact | None:
        """How the last request for names ended; ``None`` before the first has."""
        listed: Contact | None = getattr(self.otherwise, "contact", None)
        return self._refreshing.contact if self._live is not None or listed is None else listed

    @property
    def is_empty(self) -> bool:
        live, otherwise = self._live, self.otherwise
        if live is not None:
            return not live.manifest.entries
        return self._looked.is_set() and isinstance(otherwise, BackgroundResolver) and otherwise.is_empty

    def find(self, path: str) -> Asset | None:
        self._refreshing.start()
        if (live := self._live) is not None:
            return live.find(path)
        return self.otherwise.find(path) if self._looked.is_set() else None

    def all(self) -> Iterator[Asset]:
        self._refreshing.start()
        if (live := self._live) is not None:
            yield from live.all()
        elif self._looked.is_set():
            yield from self.otherwise.all()

    def paths(self) -> Iterator[str]:
        self._refreshing.start()
        if (live := self._live) is not None:
            yield from live.paths()
        elif self._looked.is_set():
            yield from self.otherwise.paths()

    def stored(self, path: str) -> Stored | None:
        live = self._live
        return self.otherwise.stored(path) if live is None else live.stored(path)

    def knows(self, path: str) -> bool:
        otherwise = self.otherwise
        known = not isinstance(otherwise, BackgroundResolver) or otherwise.knows(path)
        return self._looked.is_set() and (self._live is not None or known)

    def wait(self, seconds: float, path: str | None = None) -> bool:
        self._refreshing.start()
        began = time.monotonic()
        while not self._looked.wait(WAIT_STEP_SECONDS):
            last = self._refreshing.contact
            if time.monotonic() - began > seconds or (last is not None and last.fault and last.at >= began):
                return False
        if self._live is None and isinstance(self.otherwise, BackgroundResolver):
            return self.otherwise.wait(max(0.0, seconds - (time.monotonic() - began)), path)
        return True

    def start(self) -> None:
        self._refreshing.start()

    def refresh(self) -> None:
        """Look at the live release now, and read it if it is another one; without one, read the names again.

        Raises:
            BackendError, ManifestError: storage failed; the names that were known stay.
        """
        self._refreshing.now()
        if self._live is None and isinstance(self.otherwise, BackgroundResolver):
            self.otherwise.refresh()

    def close(self) -> None:
        self._refreshing.close()
        self.otherwise.close()
        if self._file.remote:  # read anew at the next use
            self._looked.clear()
            self._live = self._stat = None

    def _look(self) -> None:
        if not self._file.exists:
            self._live = self._stat = None
        elif self._stat is None or not self._file.is_still(self._stat):
            first = self._live is None
            manifest, self._stat = self._file.read()
            self._live = ManifestResolver(manifest)
            if first:
                _log.info("%s was published to: names are those of its live release", self._file.where)
        if self._live is None and isinstance(self.otherwise, BackgroundResolver):
            self.otherwise.start()
        self._looked.set()


def _asset(entry: Entry) -> Asset:
    return Asset(entry.path, entry.fingerprint, integrity=entry.integrity, sha256=entry.sha256, imports=entry.imports)


class HasManifest(Protocol):
    """What takes its names from a manifest."""

    @property
    def manifest(self) -> Manifest:
        """The current one."""


class PublishedFingerprint(Fingerprint):
    """The fingerprint that a manifest gave to these very bytes; else what *otherwise* makes of them.

    A server that still has yesterday's file must not send it as immutable under today's name, so
    bytes are compared, not times. Each version is read once.
    """

    def __init__(self, names: HasManifest, otherwise: Fingerprint | None) -> None:
        super().__init__(None if otherwise is None else otherwise.digests)
        self._names = names
        self._otherwise = otherwise

    @property
    def length(self) -> int:
        """As the manifest has them; the configured length where there is none."""
        otherwise = fingerprints.LENGTH if self._otherwise is None else self._otherwise.length
        return self._names.manifest.fingerprint_length or otherwise

    def close(self) -> None:
        super().close()
        if self._otherwise is not None:
            self._otherwise.close()

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        entry = self._entry(stat)
        if entry is not None and _has_bytes(entry, stat, self.digests.now(stat, backend)):
            return entry.fingerprint
        return fingerprint_of(stat, self._otherwise, backend, soon=False)

    def soon(self, stat: FileStat, backend: Backend) -> str | None:
        entry = self._entry(stat)
        if entry is not None:
            digest = self.digests.soon(stat, backend)
            if digest is None:  # it may turn out to be the published one
                return None
            if _has_bytes(entry, stat, digest):
                return entry.fingerprint
        return fingerprint_of(stat, self._otherwise, backend, soon=True)

    def is_of(self, fingerprint: str, stat: FileStat, backend: Backend) -> bool | None:
        entry = self._entry(stat)
        if entry is not None and entry.fingerprint is not None and fingerprints.agree(entry.fingerprint, fingerprint):
            digest = self.digests.soon(stat, backend)
            return None if digest is None else _has_bytes(entry, stat, digest)
        return self._otherwise is not None and self._otherwise.is_of(fingerprint, stat, backend)

    def needs_digest(self, stat: FileStat) -> bool:
        otherwise = self._otherwise is not None and self._otherwise.needs_digest(stat)
        return otherwise or self._entry(stat) is not None

    def _entry(self, stat: FileStat) -> Entry | None:
        """The entry whose bytes these may be."""
        entry = self._names.manifest.entries.get(stat.path)
        sizes = () if entry is None else (entry.size, *(each.size for each in _stored_as(entry, stat)))
        return entry if stat.size in sizes else None


def _stored_as(entry: Entry, stat: FileStat) -> list[StoredObject]:
    return [each for each in entry.stored if each.coding == stat.coding]


def _has_bytes(entry: Entry, stat: FileStat, digest: str | None) -> bool:
    """Whether *stat*, whose bytes have that *digest*, is of the published bytes, plain or in a coding as stored."""
    published = [(entry.size, entry.sha256), *((each.size, each.sha256) for each in _stored_as(entry, stat))]
    return (stat.size, digest) in published
