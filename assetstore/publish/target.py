"""This module owns what stands in a target now: one listing, one read of the ledger, and a closer look where they differ.

Only an object that is listed and that the ledger does not know is looked at closer: an earlier
run may have brought it before it was killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assetstore.backends.base import FileStat, WritableBackend
from assetstore.manifest import StoredObject
from assetstore.publish.arrivals import Arrivals
from assetstore.publish.crew import Crew
from assetstore.publish.ledger import Record


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
