"""The plan of a publish: for each object, whether it is written and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from assetstore.backends.base import WritableBackend
from assetstore.errors import ManifestError, PublishConflict, PublishError
from assetstore.names.manifest import Entry, StoredObject
from assetstore.publish.inventory import Inventory, ListedObject, PresentObject
from assetstore.publish.layout import Stage
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import Releases, ReleaseState
from assetstore.util import listed


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
    def writes(self) -> bool:
        """Whether the object is written."""
        return self.reason is not Reason.SAME


@dataclass(frozen=True, slots=True)
class Plan:
    """What a publish would do, and the state that it starts from."""

    rows: tuple[Row, ...]
    entries: Mapping[str, Entry]
    #: The release record that the plan was made from; ``None`` on a first publish.
    state: ReleaseState | None
    #: Fingerprinted paths of earlier releases that the target still has.
    retained: frozenset[str]
    #: Whether the target has other versions of the recorded objects than the record names, of the same bytes.
    drifted: bool = False

    @property
    def stale(self) -> list[str]:
        """Encoded siblings under plain names that an earlier publish left and this one does not refresh."""
        if self.state is None:
            return []
        return [
            each.path
            for entry in self.state.current.entries.values()
            for each in entry.stored
            if each.coding is not None and not self._is_fresh(entry, each)
        ]

    def _is_fresh(self, earlier: Entry, sibling: StoredObject) -> bool:
        """Whether an encoded object of *earlier* never changes, or is one of this publish too."""
        now = self.entries.get(earlier.path)
        names = () if now is None else now.stored
        return (
            earlier.immutable(sibling)
            or sibling.path == earlier.path
            or any(each.path == sibling.path for each in names)
        )

    @property
    def changes(self) -> bool:
        """Whether there is anything to do: an object to write, or an asset that came, went or was renamed."""
        if self.state is None or any(row.writes for row in self.rows):
            return True
        before = self.state.current.entries
        return before.keys() != self.entries.keys() or any(
            before[path] is not entry and _identity(before[path]) != _identity(entry)
            for path, entry in self.entries.items()
        )

    def writes(self, stage: Stage) -> list[Row]:
        """What is written in one stage."""
        return [row for row in self.rows if row.writes and row.stage is stage]


def _identity(entry: Entry) -> tuple[object, ...]:
    return entry.fingerprint, entry.sha256, entry.imports


def make(entries: Sequence[Entry], inventory: Inventory, pool: WorkerPool, *, force: bool = False) -> Plan:
    """Decide for every object of *entries* whether it is written.

    Raises:
        PublishConflict: a fingerprinted name is taken by other bytes, two assets want one name, or
            a prune is deleting what is needed.
        PublishError: the target cannot hold a name.
    """
    names: set[str] = set()
    twice: set[str] = set()
    for entry in entries:
        for each in entry.stored:
            (twice if each.path in names else names).add(each.path)
    if twice:
        raise PublishConflict(f"two assets would both be stored as {listed(twice)}; rename one of them")
    refuse_impossible_names(names, inventory.backend)
    _refuse_pending_deletes(names, inventory.state)
    listing = inventory.listing
    unknown = (
        (entry, each) for entry in entries for each in entry.stored if isinstance(listing.get(each.path), ListedObject)
    )
    identified = inventory.identify(unknown, pool)
    rows = []
    for entry in entries:
        for each in entry.stored:
            recorded = listing.get(each.path)
            present = recorded if isinstance(recorded, StoredObject) else identified.get(each.path)
            rows.append(_row(entry, each, present, force))
    _refuse_clashes(rows, inventory)
    by_path = {each.path: each for each in entries}
    drifted = bool(identified) and inventory.state is not None
    return Plan(tuple(rows), by_path, inventory.state, inventory.retained(names), drifted)


def _row(entry: Entry, wanted: StoredObject, present: PresentObject | StoredObject | None, force: bool) -> Row:
    if present is None:
        return Row(wanted, entry, Reason.MISSING)
    right = present.sha256 == wanted.sha256 if isinstance(present, StoredObject) else present.right
    if not right:
        return Row(wanted, entry, Reason.CHANGED)
    if force:
        return Row(wanted, entry, Reason.FORCED)
    if present.headers != wanted.headers:
        return Row(wanted, entry, Reason.HEADER_DRIFT)
    if isinstance(present, StoredObject):
        return Row(present, entry, Reason.SAME)
    same = replace(wanted, sha256=present.sha256, size=present.size, validator=present.validator)
    return Row(same, entry, Reason.SAME)


def refuse_impossible_names(names: Iterable[str], target: WritableBackend) -> None:
    """Refuse names that are longer than *target* can hold, before anything is written.

    Raises:
        PublishError: names them, and the limit.
    """
    segment, whole = getattr(target, "max_segment_bytes", 0), getattr(target, "max_path_bytes", 1024)
    long = [
        path
        for path in names
        if (length := len(path.encode())) > whole
        or (0 < segment < length and max(len(each.encode()) for each in path.split("/")) > segment)
    ]
    if long:
        limit = f"{segment} bytes for one name" if segment else f"{whole} bytes for a whole path"
        raise PublishError(
            f"{target.label} cannot hold {listed(long)}: it takes {limit}, and a fingerprint adds up to 65; "
            "rename the file; nothing was written"
        )


def _refuse_pending_deletes(names: Iterable[str], state: ReleaseState | None) -> None:
    pending = [path for path in names if state is not None and path in state.pending_deletes]
    if pending:
        raise PublishConflict(
            f"a prune is deleting {listed(pending)}, or broke off while it did; "
            "run 'assetstore prune --yes' to its end, then publish again"
        )


def _refuse_clashes(rows: Sequence[Row], inventory: Inventory) -> None:
    """Refuse to put other bytes under a fingerprinted name, unless the ones there are known to be wrong.

    They are where the fingerprint is the digest of the asset's bytes, or where a kept release records
    that this fingerprint is the one of these bytes: then another tool has overwritten the object.
    """
    clashes = [row for row in rows if row.reason is Reason.CHANGED and row.stage is Stage.FINGERPRINTED]
    clashes = [row for row in clashes if not row.entry.sha256.startswith(row.entry.fingerprint or " ")]
    kept = _kept_entries(inventory) if clashes else ()
    names = [row.stored.path for row in clashes if not _is_recorded(row.entry, kept)]
    if names:
        raise PublishConflict(
            f"the target has other bytes under {listed(names)}, and such a name never changes; if two versions of "
            "the file have one modified time, use fingerprint='content'; if it is not ours, remove it"
        )


def _kept_entries(inventory: Inventory) -> list[Mapping[str, Entry]]:
    """The entries of every kept release whose manifest can be read, the live one first."""
    if inventory.state is None:
        return []
    state, releases = inventory.state, Releases(inventory.backend)

    def manifests() -> Iterator[Mapping[str, Entry]]:
        yield state.current.entries
        for each in state.releases:
            if each.id != state.current.release:
                try:
                    yield releases.manifest(each.id).entries
                except ManifestError:
                    continue

    return list(manifests())


def _is_recorded(entry: Entry, kept: Sequence[Mapping[str, Entry]]) -> bool:
    same = [found for entries in kept if (found := entries.get(entry.path)) and found.fingerprint == entry.fingerprint]
    return bool(same) and all(found.sha256 == entry.sha256 for found in same)
