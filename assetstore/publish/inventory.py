"""What a target holds: one listing, one read of the release record, and the digest of every object that they disagree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from assetstore.assets.compression import decompress
from assetstore.backends.base import Backend, BytesFile, FileStat, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, PublishConflict
from assetstore.names.manifest import Entry, StoredObject, instant
from assetstore.publish.layout import LARGEST_ENCODED_BYTES
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import HIDDEN, ReleaseState, digest_of_bytes

JOURNAL = HIDDEN + "journal.json"

#: The digest of an object's headers where no journal recorded them.
UNKNOWN_HEADERS = ""


class Journal:
    """The objects that a publish announced before it wrote them, in ``journal.json`` of the target.

    After a publish was killed, the next one finds here with which headers an object was written, and
    prune finds which objects belong to no release.
    """

    def __init__(self, target: WritableBackend) -> None:
        self._target = target

    @property
    def at(self) -> datetime:
        """When it was last written; now where there is none."""
        return self._stored[0] or datetime.now(UTC)

    @property
    def intents(self) -> Mapping[str, tuple[str, str]]:
        """Object name to the SHA-256 and the digest of headers that were to be written."""
        return self._stored[1]

    @cached_property
    def _stored(self) -> tuple[datetime | None, dict[str, tuple[str, str]]]:
        with suppress(AssetNotFound, ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(read_bytes(self._target, JOURNAL))
            intents = {path: (sha256, headers) for path, (sha256, headers) in found["intents"].items()}
            return instant(found["at"]), intents
        return None, {}

    def write(self, wanted: Iterable[StoredObject], kept: Iterable[str]) -> bytes:
        """Announce *wanted*; of earlier announcements only the names in *kept* stay. Returns what was written."""
        intents = {path: self.intents[path] for path in kept if path in self.intents}
        intents.update({each.path: (each.sha256, each.headers) for each in wanted})
        data = json.dumps({"at": datetime.now(UTC).isoformat(), "intents": intents}, separators=(",", ":")).encode()
        self._target.write(JOURNAL, BytesFile.of(JOURNAL, data), WriteOptions("application/json", "no-store"))
        return data


def version_text(stat: FileStat) -> str | None:
    """A short text that changes with every version of an object in a target; ``None`` where nothing tells.

    The storage's validator; for a file on this machine a digest of inode, times and size, of which the
    change time cannot be set by a program.
    """
    if stat.validator is not None:
        return stat.validator
    if stat.signature is not None:
        _, inode, size, mtime_ns, ctime_ns = stat.signature
        return blake2b(b"%d %d %d %d" % (inode, size, mtime_ns, ctime_ns), digest_size=9).hexdigest()
    return None if stat.mtime_ns is None else str(stat.mtime_ns)


def stored_sha256(target: WritableBackend, path: str) -> str:
    """SHA-256 of the bytes of the object *path*: as a publish stored it beside them, or computed.

    Raises:
        AssetNotFound, BackendError: as ``open``.
    """
    recorded = target.stat(path).sha256
    if recorded is not None:
        return recorded
    return digest_of_bytes(target, path)


def require_same_bytes(target: WritableBackend, wanted: StoredObject) -> FileStat:
    """The stat of an object that another publisher has just created, if its bytes are those of *wanted*.

    Raises:
        PublishConflict: it has other bytes.
    """
    if stored_sha256(target, wanted.path) != wanted.sha256:
        raise PublishConflict(
            f"{wanted.path!r} was written with other bytes by somebody else; such a name never changes: "
            "use fingerprint='content' if two builds share modified times"
        )
    return target.stat(wanted.path)


@dataclass(frozen=True, slots=True)
class PresentObject:
    """One object that a target has under a wanted name."""

    size: int
    sha256: str
    #: Digest of the headers that it was stored with; :data:`UNKNOWN_HEADERS` where nothing recorded them.
    headers: str
    #: As :func:`version_text`.
    validator: str | None
    #: Whether its bytes are those of the asset: the wanted ones, or others that decode to the same, as
    #: another version of a compressor makes them.
    right: bool


class ListedObject(NamedTuple):
    """What a listing reports of one object: of 100,000 there are many, so no more than is needed."""

    size: int
    #: As :func:`version_text`.
    version: str | None


def listing_of(target: Backend) -> dict[str, ListedObject]:
    """Every object of *target* that is not hidden, by name.

    Raises:
        BackendError: storage failed.
    """
    return {stat.path: ListedObject(stat.size, version_text(stat)) for stat in target.walk()}


@dataclass(frozen=True, slots=True)
class Inventory:
    """A target as it was found."""

    backend: WritableBackend
    #: Every object below the target that is not hidden, by name.
    listing: Mapping[str, ListedObject]
    state: ReleaseState | None
    journal: Journal

    @classmethod
    def of(cls, backend: WritableBackend, state: ReleaseState | None) -> Inventory:
        """One listing of the target, beside the release record as it was read before."""
        return cls(backend, listing_of(backend), state, Journal(backend))

    def present(
        self, wanted: Sequence[tuple[Entry, StoredObject]], pool: WorkerPool
    ) -> dict[str, PresentObject | StoredObject]:
        """What the target has under the names of *wanted*, by name; no entry for a name that is free.

        The recorded object itself where the target has the version that the release record names.
        """
        known = {} if self.state is None else {each.path: each for each in self.state.current.objects()}
        present: dict[str, PresentObject | StoredObject] = {}
        unknown: list[tuple[Entry, StoredObject, StoredObject | None]] = []
        for entry, each in wanted:
            listed = self.listing.get(each.path)
            if listed is None:
                continue
            recorded = known.get(each.path)
            if recorded is not None and is_as_recorded(recorded, listed):
                present[each.path] = recorded
            else:
                unknown.append((entry, each, recorded))
        for (_, each, _), found in pool.run(unknown, lambda job: self.identify(*job)):
            if found is not None:
                present[each.path] = found
        return present

    def identify(
        self, entry: Entry, wanted: StoredObject, recorded: StoredObject | None = None
    ) -> PresentObject | None:
        """What really is stored under the name of *wanted*, by its digest; ``None`` if it is gone by now.

        An identity object of another size is not read.
        """
        listed = self.listing[wanted.path]
        sha256 = ""
        try:
            if listed.size == wanted.size:
                sha256 = stored_sha256(self.backend, wanted.path)
            right = sha256 == wanted.sha256
            if not right and wanted.coding is not None and listed.size <= max(entry.size, LARGEST_ENCODED_BYTES):
                data = read_bytes(self.backend, wanted.path)
                right = _decodes_to(data, wanted.coding, entry)
                sha256 = hashlib.sha256(data).hexdigest()
        except AssetNotFound:
            return None
        intended, headers = self.journal.intents.get(wanted.path, ("", UNKNOWN_HEADERS))
        if intended != sha256:
            # A directory keeps no headers, so what the record says of the same bytes holds for them.
            headers = UNKNOWN_HEADERS if self.backend.remote or not right else (recorded or wanted).headers
        return PresentObject(listed.size, sha256, headers, listed.version, right)

    def retained(self, own: set[str]) -> frozenset[str]:
        """The fingerprinted paths of earlier releases that the target still has, without *own*."""
        if self.state is None:
            return frozenset()
        earlier = self.state.current.retained.union(self.state.current.fingerprinted())
        return frozenset(path for path in earlier - own - self.state.pending_deletes if path in self.listing)

    def leftovers(self) -> frozenset[str]:
        """Announced names that the target has and that the live release does not name."""
        known = set() if self.state is None else {each.path for each in self.state.current.objects()}
        return frozenset(path for path in self.journal.intents if path in self.listing and path not in known)


def is_as_recorded(known: StoredObject, listed: ListedObject) -> bool:
    """Whether the listing shows the version of an object that the release record names."""
    return known.size == listed.size and known.validator is not None and known.validator == listed.version


def _decodes_to(data: bytes, coding: str, entry: Entry) -> bool:
    plain = decompress(data, coding, entry.size)
    return plain is not None and len(plain) == entry.size and hashlib.sha256(plain).hexdigest() == entry.sha256
