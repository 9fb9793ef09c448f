"""The plan of a publish: for each object, whether it is written and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from assetstore.errors import PublishConflict
from assetstore.names.manifest import Entry, StoredObject
from assetstore.publish.inventory import Inventory
from assetstore.publish.layout import Stage
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import ReleaseState

#: How many clashing names a message lists.
NAMED_IN_MESSAGE = 5


class Reason(Enum):
    """Why an object is written, or is not."""

    MISSING = "missing"
    CHANGED = "changed"
    HEADER_DRIFT = "header drift"
    FORCED = "forced"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Row:
    """One object of the plan."""

    stored: StoredObject
    entry: Entry
    reason: Reason

    @property
    def stage(self) -> Stage:
        """When it is written, if it is."""
        return Stage.FINGERPRINTED if self.entry.immutable(self.stored) else Stage.PLAIN

    @property
    def clashes(self) -> bool:
        """Whether other bytes stand under a name that never changes."""
        return self.stage is Stage.FINGERPRINTED and self.reason is Reason.CHANGED

    @property
    def writes(self) -> bool:
        """Whether the object is written."""
        return self.reason is not Reason.SAME


@dataclass(frozen=True, slots=True)
class Plan:
    """What a publish would do, and from where it starts."""

    rows: tuple[Row, ...]
    entries: Mapping[str, Entry]
    #: The release record that the plan was made from; ``None`` on a first publish.
    state: ReleaseState | None
    #: Fingerprinted paths of earlier releases that the target still has.
    retained: frozenset[str]

    @property
    def stale(self) -> list[str]:
        """Encoded siblings under plain names that an earlier publish left and this one does not refresh."""
        if self.state is None:
            return []
        fresh = {row.stored.path for row in self.rows}
        return [
            each.path
            for entry in self.state.current.entries.values()
            for each in entry.stored
            if each.path not in fresh and not entry.immutable(each) and each.path != entry.path
        ]

    @property
    def changes(self) -> bool:
        """Whether there is anything to do: an object to write, or an asset that came, went or was renamed."""
        if self.state is None or any(row.writes for row in self.rows):
            return True
        return _names(self.state.current.entries) != _names(self.entries)

    def writes(self, stage: Stage) -> list[Row]:
        """What is written in one stage."""
        return [row for row in self.rows if row.writes and row.stage is stage]


def _names(entries: Mapping[str, Entry]) -> set[tuple[str, str | None, str]]:
    return {(each.path, each.fingerprint, each.sha256) for each in entries.values()}


def make(entries: Sequence[Entry], inventory: Inventory, pool: WorkerPool, *, force: bool = False) -> Plan:
    """Decide for every object of *entries* whether it is written.

    Raises:
        PublishConflict: a fingerprinted name is taken by other bytes, two assets want one name, or
            a prune is deleting what is needed.
    """
    wanted = [each for entry in entries for each in entry.stored]
    _refuse_doubles(wanted)
    _refuse_pending_deletes(wanted, inventory.state)
    present = inventory.present(wanted, pool)
    before = {} if inventory.state is None else inventory.state.current.entries
    rows: list[Row] = []
    for entry in entries:
        for each in entry.stored:
            reason = _reason(each, present.get(each.path), force)
            listed = inventory.listing.get(each.path)
            seen = each if listed is None or listed.validator is None else replace(each, validator=listed.validator)
            rows.append(Row(seen, entry, reason))
    _refuse_clashes(rows, before)
    return Plan(
        tuple(rows),
        {each.path: each for each in entries},
        inventory.state,
        inventory.retained({row.stored.path for row in rows}),
    )


def _reason(wanted: StoredObject, present: StoredObject | None, force: bool) -> Reason:
    if present is None:
        return Reason.MISSING
    if (present.sha256, present.size) != (wanted.sha256, wanted.size):
        return Reason.CHANGED
    if force:
        return Reason.FORCED
    return Reason.SAME if present.headers == wanted.headers else Reason.HEADER_DRIFT


def _refuse_doubles(wanted: Sequence[StoredObject]) -> None:
    counts = Counter(each.path for each in wanted)
    twice = [path for path, count in counts.items() if count > 1]
    if twice:
        raise PublishConflict(f"two assets would both be stored as {_listed(twice)}; rename one of them")


def _refuse_pending_deletes(wanted: Sequence[StoredObject], state: ReleaseState | None) -> None:
    pending_deletes = [each.path for each in wanted if state is not None and each.path in state.pending_deletes]
    if pending_deletes:
        raise PublishConflict(
            f"a prune is deleting {_listed(pending_deletes)}, or broke off while it did; "
            "run 'assetstore prune --yes' to its end, then publish again"
        )


def _refuse_clashes(rows: Sequence[Row], before: Mapping[str, Entry]) -> None:
    clashes = [row.stored.path for row in rows if row.clashes and not _recoded(row.entry, before.get(row.entry.path))]
    if clashes:
        raise PublishConflict(
            f"the target has other bytes under {_listed(clashes)}, and such a name never changes; if two versions of "
            "the file have one modified time, use fingerprint='content'; if it is not ours, remove it"
        )


def _recoded(entry: Entry, before: Entry | None) -> bool:
    """Whether only the content coding differs, so that every cache stays right."""
    return before is not None and (before.sha256, before.fingerprint) == (entry.sha256, entry.fingerprint)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_IN_MESSAGE
    return ", ".join(map(repr, sorted(names)[:NAMED_IN_MESSAGE])) + (f" and {more} more" if more > 0 else "")
