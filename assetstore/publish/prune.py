"""Delete the objects that no kept release names.

Only names from the release record are ever deleted: those of the releases that are dropped, and those
that an unfinished publish announced. The names are first written into the record as pending deletes, so
that no publish relies on them; then they are deleted; then they leave the record. A prune that is
interrupted is finished by the next one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from assetstore.backends.base import WritableBackend
from assetstore.errors import AssetStoreError, PublishError, SettingsError
from assetstore.publish.inventory import Inventory
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.releases import Releases, ReleaseState, ReleaseSummary

_AGE = re.compile(r"(\d{1,6})\s*([smhdw])")
_NO_TIME = timedelta(0)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Keep:
    """The rule: the last *count* releases, and every one younger than *younger_than*."""

    count: int = 1
    younger_than: timedelta = _NO_TIME

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(f"keep={self.count} would keep no release; give 1 or more")

    def split(
        self, state: ReleaseState, now: datetime
    ) -> tuple[tuple[ReleaseSummary, ...], tuple[ReleaseSummary, ...]]:
        """The releases that are kept, and those that are not; both oldest first."""
        last = {each.id for each in state.releases[-self.count :]} | {state.current.release}
        # A release of a machine whose clock runs ahead counts as made just now.
        young = {each.id for each in state.releases if max(now - each.published_at, _NO_TIME) < self.younger_than}
        kept = tuple(each for each in state.releases if each.id in last | young)
        return kept, tuple(each for each in state.releases if each.id not in last | young)


def age(text: str) -> timedelta:
    """Read an age: ``30d``, ``12h``, ``90m``, ``2w``, ``45s``.

    Raises:
        SettingsError: *text* is none.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"{text!r} is no age; a good one is '30d', '12h' or '90m'")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True, slots=True)
class Holding:
    """One release, and what the target holds only because of it."""

    note: ReleaseSummary
    live: bool
    #: Objects that no other kept release needs, and their bytes.
    own_objects: int
    own_size: int


def holdings(releases: Releases, state: ReleaseState) -> list[Holding]:
    """Every kept release with what only it needs, oldest first.

    Raises:
        ManifestError: a kept release's manifest is missing or damaged.
    """
    needed: dict[str, Mapping[str, int]] = {each.id: needs(releases, state, each.id) for each in state.releases}
    holders = Counter(name for names in needed.values() for name in names)
    return [_holding(each, each.id == state.current.release, needed[each.id], holders) for each in state.releases]


def needs(releases: Releases, state: ReleaseState, release: str) -> dict[str, int]:
    """The name and size of every object that *release* needs in the target."""
    manifest = state.current if release == state.current.release else releases.manifest(release)
    return {each.path: each.size for each in manifest.objects()}


def _holding(note: ReleaseSummary, live: bool, needed: Mapping[str, int], holders: Counter[str]) -> Holding:
    own = [size for name, size in needed.items() if holders[name] == 1]
    return Holding(note, live, len(own), sum(own))


#: More deletions than this are refused, unless told otherwise.
MAX_DELETES = "1000"
#: Files of an unfinished publish are left alone for at least this long: it may still be running.
UNFINISHED_AGE = timedelta(days=1)

_LIMIT = re.compile(r"(\d{1,9})(%?)")


@dataclass(frozen=True, slots=True)
class Delete:
    """One object that a prune deletes."""

    path: str
    size: int
    #: Why: the newest release that named it, or how else the release record knows it.
    reason: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune would do."""

    state: ReleaseState
    kept: tuple[ReleaseSummary, ...]
    dropped: tuple[ReleaseSummary, ...]
    deletes: tuple[Delete, ...]
    #: Objects in the target now, and how many of them no release names: those are not ours.
    objects: int
    foreign: int

    @property
    def size(self) -> int:
        """Bytes that are freed."""
        return sum(each.size for each in self.deletes)


def plan(target: WritableBackend, keep: Keep, now: datetime) -> PrunePlan:
    """What *keep* leaves over in *target*: one listing, and one manifest for each release.

    Raises:
        PublishError: nothing was ever published there.
        ManifestError: a release's manifest is missing or damaged, so that nobody knows what it needs.
    """
    releases = Releases(target)
    state = releases.require()
    found = Inventory.of(target, state)
    kept, dropped = keep.split(state, now)
    needed = {name for each in kept for name in needs(releases, state, each.id)}
    gone: dict[str, str] = dict.fromkeys(state.pending_deletes, "an earlier prune broke off")
    if now - found.journal.at > max(keep.younger_than, UNFINISHED_AGE):
        gone.update(dict.fromkeys(found.leftovers(), "its publish never finished"))
    for each in dropped:
        gone.update(dict.fromkeys(needs(releases, state, each.id), f"release {each.id}"))
    deletes = [
        Delete(path, found.listing[path].size, reason)
        for path, reason in sorted(gone.items())
        if path in found.listing and path not in needed
    ]
    foreign = sum(1 for path in found.listing if path not in needed and path not in gone)
    return PrunePlan(state, kept, dropped, tuple(deletes), len(found.listing), foreign)


def check_limit(found: PrunePlan, limit: str) -> None:
    """Refuse a plan that deletes more than *limit*: a number of objects, or ``30%`` of all.

    Raises:
        SettingsError: *limit* is neither.
        PublishError: the plan is over it; nothing was deleted.
    """
    match = _LIMIT.fullmatch(limit.strip())
    if match is None:
        raise SettingsError(f"{limit!r} is no limit; give a number of objects (500) or a share (30%)")
    most = int(match[1]) if not match[2] else found.objects * int(match[1]) // 100
    if len(found.deletes) > most:
        raise PublishError(
            f"{len(found.deletes)} of {found.objects} objects would be deleted, more than the limit of {limit}; "
            "nothing was deleted; if that is right, raise it with --max-deletes"
        )


def apply(
    found: PrunePlan, target: WritableBackend, *, workers: int = WORKERS, progress: Progress | None = None
) -> None:
    """Carry out a plan.

    Raises:
        PublishConflict: somebody published meanwhile; nothing was deleted.
        PublishError: a deletion failed; the message says how to resume.
    """
    if not (found.deletes or found.dropped or found.state.pending_deletes):
        return
    releases, progress = Releases(target), progress or Silent()
    pending_deletes = frozenset(each.path for each in found.deletes)
    releases.move(found.state, _without(found.state, found.kept, pending_deletes))
    progress.begin("deleting", len(found.deletes), found.size)
    try:
        for each, _ in WorkerPool(workers).run(found.deletes, lambda each: target.delete(each.path)):
            progress.advance(each.size)
        for note in found.dropped:
            releases.forget(note.id)
    except AssetStoreError as error:
        raise PublishError(f"the prune broke off: {error}; run 'assetstore prune --yes' again to finish it") from error
    finally:
        progress.end()
    marked = releases.require()
    releases.move(marked, replace(marked, pending_deletes=marked.pending_deletes - pending_deletes))


def _without(state: ReleaseState, kept: tuple[ReleaseSummary, ...], pending_deletes: frozenset[str]) -> ReleaseState:
    current = replace(state.current, retained=state.current.retained - pending_deletes)
    return replace(state, current=current, releases=kept, pending_deletes=pending_deletes)
