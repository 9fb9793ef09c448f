"""This module owns what a target remembers of its releases, and how the live one is switched.

Below the target, under a prefix that is never served, stand one manifest for each release
(written once) and ``current.json``: the live release's manifest, followed by the list of releases
that are kept. Reading the ledger is therefore one read, and switching is one conditional write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from assetstore import manifest as manifests
from assetstore.backends.base import FileStat, LearnsConditions, StoredHeaders, WritableBackend, read_bytes
from assetstore.backends.held import HeldFile
from assetstore.errors import AssetNotFound, ManifestError, PublishConflict, PublishError
from assetstore.manifest import Manifest
from assetstore.publish.lock import Lock

#: Everything that publishing keeps for itself; a dotfile is never servable.
HIDDEN = ".assetstore/"
CURRENT = HIDDEN + "current.json"

_HEADERS = StoredHeaders("application/json", "no-store")


@dataclass(frozen=True, slots=True)
class ReleaseNote:
    """One release as the ledger lists it."""

    id: str
    published_at: datetime
    #: Who published it: user and host.
    publisher: str
    #: How many assets it has, and the bytes of everything it needs in the target.
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """The state of a target: which release is live, and which are kept."""

    current: Manifest
    #: Every kept release, oldest first.
    releases: tuple[ReleaseNote, ...]
    #: Names that a prune is about to delete, or was when it broke off.
    condemned: frozenset[str] = frozenset()
    #: The stored form that was read (its validator, SHA-256), to notice that somebody moved it meanwhile.
    stat: FileStat | None = field(default=None, compare=False)
    sha256: str = field(default="", compare=False)


class Ledger:
    """Reads and writes the releases of one target."""

    def __init__(self, target: WritableBackend) -> None:
        self._target = target

    def read(self) -> Record | None:
        """What the target remembers; ``None`` where nothing was ever published.

        Raises:
            ManifestError: something stands there that is not ours, or is of a newer format.
        """
        try:
            opened = self._target.open(CURRENT)
        except AssetNotFound:
            return None
        try:
            data = b"".join(opened.chunks(0, opened.stat.size))
            return _from_bytes(data, opened.stat, f"{CURRENT} in {self._target.label}")
        finally:
            opened.close()

    def require(self) -> Record:
        """What the target remembers.

        Raises:
            PublishError: nothing was ever published there.
        """
        record = self.read()
        if record is None:
            raise PublishError(f"nothing was ever published to {self._target.label}; run 'assetstore publish' first")
        return record

    def manifest(self, release: str) -> Manifest:
        """The manifest of one release.

        Raises:
            ManifestError: it is missing or damaged.
        """
        path = manifest_path(release)
        try:
            data = read_bytes(self._target, path)
        except AssetNotFound:
            raise ManifestError(f"{path} is missing in {self._target.label}; that release cannot be used") from None
        return manifests.load(data, f"{path} in {self._target.label}")

    def save(self, manifest: Manifest) -> None:
        """Write the manifest of a new release, under a name that nobody else may take.

        Raises:
            PublishConflict: another release of that id exists.
        """
        data = manifests.dump(manifest)
        path = manifest_path(manifest.release)
        try:
            self._target.write(path, HeldFile.of(path, data), _HEADERS, create_only=True)
        except PublishConflict:
            # A run that was killed just after it wrote this very manifest is being finished.
            if read_bytes(self._target, path) != data:
                raise

    def forget(self, release: str) -> None:
        """Remove the manifest of a release that is kept no longer."""
        self._target.delete(manifest_path(release))

    def move(self, seen: Record | None, record: Record) -> None:
        """Make *record* the state of the target, if it is still the one that was *seen*.

        Raises:
            PublishConflict: somebody else moved it meanwhile; nothing was changed.
        """
        data = _to_bytes(record)
        try:
            if self._in_one_step(seen):
                self._write_if(seen, data)
            else:
                self._move_locked(seen, data)
        except PublishConflict as error:
            raise PublishConflict(
                f"somebody else changed the live release in {self._target.label} meanwhile ({error}); "
                "the live site is whole; run the same command again to start from what is there now"
            ) from error

    def _in_one_step(self, seen: Record | None) -> bool:
        """Whether the target itself refuses a write over another version than *seen*."""
        if isinstance(self._target, LearnsConditions):
            proven = self._target.conditional_creates if seen is None else self._target.conditional_replaces
            return proven is True
        return seen is None or (seen.stat is not None and seen.stat.validator is not None)

    def _move_locked(self, seen: Record | None, data: bytes) -> None:
        with Lock(self._target, HIDDEN + "lock.json"):
            now = self.read()
            if (None if now is None else now.sha256) != (None if seen is None else seen.sha256):
                raise PublishConflict(f"{CURRENT} is not what it was")
            self._write_if(now, data)

    def _write_if(self, seen: Record | None, data: bytes) -> None:
        if seen is None:
            self._write(data, create_only=True)
        else:
            self._write(data, if_validator=None if seen.stat is None else seen.stat.validator)

    def _write(self, data: bytes, *, create_only: bool = False, if_validator: str | None = None) -> None:
        source = HeldFile.of(CURRENT, data)
        self._target.write(CURRENT, source, _HEADERS, create_only=create_only, if_validator=if_validator)


def manifest_path(release: str) -> str:
    """Where the manifest of *release* stands below its target."""
    return f"{HIDDEN}manifests/{release}.json"


def note(manifest: Manifest, publisher: str) -> ReleaseNote:
    """How the ledger lists *manifest*."""
    size = sum(each.size for each in manifest.objects())
    return ReleaseNote(manifest.release, manifest.published_at, publisher, len(manifest.entries), size)


def _to_bytes(record: Record) -> bytes:
    releases = [
        [each.id, each.published_at.isoformat(), each.publisher, each.files, each.size] for each in record.releases
    ]
    return manifests.dump(record.current, {"releases": releases, "condemned": sorted(record.condemned)})


def _from_bytes(data: bytes, stat: FileStat, where: str) -> Record:
    found = manifests.document(data, where)
    try:
        releases = tuple(_read_note(*each) for each in found["releases"])
        condemned = frozenset(found["condemned"])
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{where} is damaged ({error!r}); restore it from one of the manifests beside it") from None
    return Record(manifests.from_document(found, where), releases, condemned, stat, sha256(data).hexdigest())


def _read_note(release: str, published_at: str, publisher: str, files: int, size: int) -> ReleaseNote:
    return ReleaseNote(release, manifests.instant(published_at), publisher, int(files), int(size))
