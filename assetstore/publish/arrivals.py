"""This module owns what unfinished publishes brought: a journal of intents, and a look at what stands there.

Before anything is written, the names, digests and headers of what will be are noted in the
target. A run that is killed leaves the note behind; the next one reads it and takes over what
arrived, and a prune knows by it which unfinished files are ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from assetstore.backends.base import FileStat, StoredHeaders, WritableBackend, read_bytes
from assetstore.backends.held import HeldFile
from assetstore.errors import AssetNotFound, PublishConflict
from assetstore.manifest import StoredObject, instant
from assetstore.publish.crew import Crew
from assetstore.publish.ledger import HIDDEN

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
        self._target.write(JOURNAL, HeldFile.of(JOURNAL, data), StoredHeaders("application/json", "no-store"))

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
