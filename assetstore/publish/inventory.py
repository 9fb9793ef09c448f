"""What a target holds: one listing, one read of the release record, and the digest of every object that they disagree on.

A publish announces its objects in a journal of its own, under a name that no other uses, and deletes it once its
release is live. From the journal of a killed publish the next one reads with which headers an object was written,
and prune reads which objects belong to no release.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

from assetstore.assets.compression import decompress
from assetstore.backends.base import FileStat, SpooledFile, WritableBackend, digest_of_bytes, read_bytes
from assetstore.errors import AssetNotFound, PublishConflict
from assetstore.names.manifest import Entry, StoredObject, instant, split_lines
from assetstore.publish.layout import LARGEST_ENCODED_BYTES
from assetstore.publish.lock import HIDDEN, JSON
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import ReleaseState

#: Below it lie the journals.
JOURNALS = HIDDEN + "journals/"


@dataclass(frozen=True, slots=True)
class Journal:
    """One journal as it was found."""

    path: str
    #: When its publish began, by that machine's clock.
    at: datetime
    #: Object name to the SHA-256 and the digest of the headers that were to be written.
    intents: Mapping[str, tuple[str, str]]


def new_name() -> str:
    """A name for the journal of one publish."""
    return f"{JOURNALS}{secrets.token_hex(8)}.jsonl"


def announce(target: WritableBackend, path: str, wanted: Iterable[StoredObject], now: datetime) -> None:
    """Write a journal that announces *wanted*: a line with the time, then one line for each object."""

    def lines() -> Iterator[bytes]:
        yield _line(now.isoformat())
        for each in wanted:
            yield _line([each.path, each.sha256, each.headers])

    with SpooledFile(path, lines()) as source:
        target.write(path, source, JSON)


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_journal(target: WritableBackend, path: str) -> Journal:
    """The journal at *path*; what is damaged or gone announces nothing.

    Raises:
        BackendError: storage failed.
    """
    at, intents = datetime.now(UTC), dict[str, tuple[str, str]]()
    with suppress(AssetNotFound):
        opened = target.open(path)
        try:
            for number, line in enumerate(split_lines(opened.chunks(0, opened.stat.size))):
                with suppress(ValueError, TypeError):
                    if number == 0:
                        at = instant(json.loads(line))
                        continue
                    name, sha256, headers = json.loads(line)
                    intents[str(name)] = (str(sha256), sys.intern(str(headers)))
        finally:
            opened.close()
    return Journal(path, at, intents)


#: The digest of an object's headers where no journal recorded them.
UNKNOWN_HEADERS = ""


def version_text(stat: FileStat) -> str | None:
    """A short text that changes with every version of an object in a target; ``None`` where nothing does.

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
    """One object that a target has under a wanted name, and that is not as the release record names it."""

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
    """What a listing reports of one object."""

    size: int
    #: As :func:`version_text`.
    validator: str | None


#: The objects of a target by name. What is as the release record names it is the recorded object itself,
#: under the recorded string: of 100,000 objects nothing is held twice.
Listing = Mapping[str, StoredObject | ListedObject]


def is_as_recorded(known: StoredObject, stat: FileStat) -> bool:
    """Whether *stat* is the version of an object that the release record names."""
    return known.size == stat.size and known.validator is not None and known.validator == version_text(stat)


def walk_all(target: WritableBackend) -> Iterator[FileStat]:
    """Every object of *target*, those whose names begin with a dot too: a mount may have some, and journals do."""
    shown = getattr(target, "dot_names", None)
    if shown is None:
        yield from target.walk()
        return
    target.dot_names = True  # type: ignore[attr-defined]
    try:
        yield from target.walk()
    finally:
        target.dot_names = shown  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Inventory:
    """A target as it was found."""

    backend: WritableBackend
    #: Every object below the target that publishing does not keep for itself.
    listing: Listing
    state: ReleaseState | None
    #: What publishes that were killed, or still run, have announced.
    journals: Sequence[Journal] = ()

    @classmethod
    def of(cls, backend: WritableBackend, state: ReleaseState | None) -> Inventory:
        """One listing of the target, beside the release record as it was read before.

        Raises:
            BackendError: storage failed.
        """
        known = {} if state is None else {each.path: each for each in state.current.objects()}
        listing: dict[str, StoredObject | ListedObject] = {}
        journals = []
        for stat in walk_all(backend):
            recorded = known.get(stat.path)
            if recorded is not None and is_as_recorded(recorded, stat):
                listing[recorded.path] = recorded
            elif not stat.path.startswith(HIDDEN):
                listing[stat.path] = ListedObject(stat.size, version_text(stat))
            elif stat.path.startswith(JOURNALS):
                journals.append(stat.path)
        return cls(backend, listing, state, [read_journal(backend, path) for path in sorted(journals)])

    def identify(self, unknown: Iterable[tuple[Entry, StoredObject]], pool: WorkerPool) -> dict[str, PresentObject]:
        """What the target really has under the names of *unknown*, which it lists; no entry for what is gone by now."""
        jobs = list(unknown)
        recorded: dict[str, StoredObject] = {}
        if jobs and self.state is not None:
            recorded = {each.path: each for each in self.state.current.objects()}
        found: dict[str, PresentObject] = {}
        for (_, each), present in pool.run(jobs, lambda job: self._identified(*job, recorded.get(job[1].path))):
            if present is not None:
                found[each.path] = present
        return found

    def _identified(self, entry: Entry, wanted: StoredObject, recorded: StoredObject | None) -> PresentObject | None:
        """What is stored under the name of *wanted*, by its digest; an identity object of another size is not read."""
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
        announced = (each.intents.get(wanted.path) for each in self.journals)
        headers = next((each[1] for each in announced if each is not None and each[0] == sha256), None)
        if headers is None:
            # A directory keeps no headers, so what the record says of the same bytes holds for them.
            headers = UNKNOWN_HEADERS if self.backend.remote or not right else (recorded or wanted).headers
        return PresentObject(listed.size, sha256, headers, listed.validator, right)

    def retained(self, own: set[str]) -> frozenset[str]:
        """The fingerprinted paths of earlier releases that the target still has, without *own*."""
        if self.state is None:
            return frozenset()
        earlier = self.state.current.retained.union(self.state.current.fingerprinted())
        return frozenset(path for path in earlier - own - self.state.pending_deletes if path in self.listing)

    def leftovers(self, journals: Iterable[Journal]) -> frozenset[str]:
        """Names that *journals* announced, that the target has, and that the live release does not name."""
        announced = {path for each in journals for path in each.intents if path in self.listing}
        if announced and self.state is not None:
            announced.difference_update(each.path for each in self.state.current.objects())
        return frozenset(announced)


def _decodes_to(data: bytes, coding: str, entry: Entry) -> bool:
    plain = decompress(data, coding, entry.size)
    return plain is not None and len(plain) == entry.size and hashlib.sha256(plain).hexdigest() == entry.sha256
