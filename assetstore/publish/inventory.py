"""This module owns what stands in a target now: one listing, one read of the ledger, and a closer look where they differ.

Only an object that is listed and that the ledger does not know is looked at closer: an earlier
run may have brought it before it was killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from assetstore.backends.base import BytesFile, FileStat, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, PublishConflict
from assetstore.names.manifest import StoredObject, instant
from assetstore.publish.pool import Crew
from assetstore.publish.releases import HIDDEN, Record

JOURNAL = HIDDEN + "journal.json"

#: What an object's headers are called when nobody noted them.
UNKNOWN_HEADERS = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """What the latest publishes were about to write."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Name below the target to the SHA-256 and the digest of headers that were intended.
    intents: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class Arrivals:
    """Looks closer at objects that are in the target and not in its ledger."""

    def __init__(self, target: WritableBackend) -> None:
        self._target = target

    @cached_property
    def journal(self) -> Journal:
        """What was noted by publishes that may not have finished; read once, when first needed."""
        with suppress(AssetNotFound, ValueError, TypeError, KeyError):
            found = json.loads(read_bytes(self._target, JOURNAL))
            intents = {path: (sha256, headers) for path, (sha256, headers) in found["intents"].items()}
            return Journal(instant(found["at"]), intents)
        return Journal()

    def look(
        self, wanted: Sequence[StoredObject], listing: Mapping[str, FileStat], crew: Crew
    ) -> Iterator[tuple[StoredObject, StoredObject]]:
        """Each of *wanted* with what really stands under its name, which *listing* has."""
        if not wanted:
            return iter(())
        journal = self.journal

        def closer(each: StoredObject) -> StoredObject:
            size = listing[each.path].size
            sha256 = self._sha256(each.path) if size == each.size else ""
            intended, headers = journal.intents.get(each.path, ("", UNKNOWN_HEADERS))
            return StoredObject(each.path, size, sha256, headers if intended == sha256 else UNKNOWN_HEADERS)

        return crew.run(wanted, closer)

    def note(self, wanted: Iterable[StoredObject], kept: Iterable[str]) -> None:
        """Note what is about to be written; of earlier notes only the names in *kept* stay."""
        intents = {path: self.journal.intents[path] for path in kept if path in self.journal.intents}
        intents.update({each.path: (each.sha256, each.headers) for each in wanted})
        data = json.dumps({"at": datetime.now(UTC).isoformat(), "intents": intents}, separators=(",", ":")).encode()
        self._target.write(JOURNAL, BytesFile.of(JOURNAL, data), WriteOptions("application/json", "no-store"))

    def _sha256(self, path: str) -> str:
        recorded = self._target.stat(path).sha256
        if recorded is not None:
            return recorded
        digest = hashlib.sha256()
        opened = self._target.open(path)
        try:
            for chunk in opened.chunks(0, opened.stat.size):
                digest.update(chunk)
        finally:
            opened.close()
        return digest.hexdigest()

    def same_bytes(self, wanted: StoredObject) -> FileStat:
        """The stat of an object that somebody else has just written, if it is what *wanted* is.

        Raises:
            PublishConflict: it has other bytes.
        """
        if self._sha256(wanted.path) != wanted.sha256:
            raise PublishConflict(
                f"{wanted.path!r} was written with other bytes by somebody else; such a name never changes: "
                "use fingerprint='content' if two builds share modified times"
            )
        return self._target.stat(wanted.path)


@dataclass(frozen=True, slots=True)
class Target:
    """A target as it was found."""

    backend: WritableBackend
    #: Every object below the target that is not hidden, by name.
    listing: Mapping[str, FileStat]
    record: Record | None
    arrivals: Arrivals

    @classmethod
    def of(cls, backend: WritableBackend, record: Record | None) -> Target:
        """The target as one listing shows it, beside the ledger as it was read before."""
        return cls(backend, {stat.path: stat for stat in backend.walk()}, record, Arrivals(backend))

    def standing(self, wanted: Sequence[StoredObject], crew: Crew) -> dict[str, StoredObject]:
        """What stands under the names of *wanted*, by name; nothing for a name that is free."""
        known = {} if self.record is None else {each.path: each for each in self.record.current.objects()}
        standing: dict[str, StoredObject] = {}
        unknown: list[StoredObject] = []
        for each in wanted:
            listed = self.listing.get(each.path)
            if listed is None:
                continue
            if each.path in known and _as_left(known[each.path], listed):
                standing[each.path] = known[each.path]
            else:
                unknown.append(each)
        for each, found in self.arrivals.look(unknown, self.listing, crew):
            standing[each.path] = found
        return standing

    def retained(self, own: set[str]) -> frozenset[str]:
        """The fingerprinted paths of earlier releases that the target still has, without *own*."""
        if self.record is None:
            return frozenset()
        earlier = self.record.current.retained.union(self.record.current.fingerprinted())
        return frozenset(path for path in earlier - own - self.record.condemned if path in self.listing)

    def leftovers(self) -> frozenset[str]:
        """Noted names that stand in the target and that the live release does not name."""
        known = set() if self.record is None else {each.path for each in self.record.current.objects()}
        return frozenset(path for path in self.arrivals.journal.intents if path in self.listing and path not in known)


def _as_left(known: StoredObject, listed: FileStat) -> bool:
    """Whether the listing shows an object as the ledger left it."""
    return known.size == listed.size and (known.validator is None or known.validator == listed.validator)
