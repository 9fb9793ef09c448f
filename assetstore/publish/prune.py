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

from assetstore.backends.base import KeepsUnfinished, UnfinishedUpload, WritableBackend
from assetstore.errors import AssetStoreError, PublishError, SettingsError
from assetstore.publish.inventory import Inventory
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.releases import Releases, ReleaseState, ReleaseSummary, manifest_path

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


#: The default limit of deletions.
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
    #: Parts of uploads that never ended: temporary files, and multipart uploads.
    unfinished: tuple[UnfinishedUpload, ...]
    #: The journals of publishes that never ended.
    journals: tuple[str, ...]
    #: Objects in the target now, and how many of them no release names: those are not ours.
    objects: int
    foreign: int

    @property
    def size(self) -> int:
        """Bytes that are freed."""
        return sum(each.size for each in self.deletes) + sum(each.size for each in self.unfinished)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.deletes or self.dropped or self.unfinished or self.journals or self.state.pending_deletes)


def plan(target: WritableBackend, keep: Keep, now: datetime) -> PrunePlan:
    """What *keep* leaves over in *target*: one listing, and one manifest for each release.

    What a dropped release names is deleted whether the listing has it or not: a listing may be incomplete,
    and once the release is dropped nothing else names its objects.

    Raises:
        PublishError: nothing was ever published there.
        ManifestError: a release's manifest is missing or damaged, so that what it needs is not known.
    """
    releases = Releases(target)
    state = releases.require()
    found = Inventory.of(target, state)
    kept, dropped = keep.split(state, now)
    needed = {name for each in kept for name in needs(releases, state, each.id)}
    gone: dict[str, tuple[int, str]] = dict.fromkeys(state.pending_deletes, (0, "an earlier prune broke off"))
    settled = max(keep.younger_than, UNFINISHED_AGE)
    dead = [each for each in found.journals if now - each.at > settled]
    # What a publish that may still run has announced is its own.
    running = {path for each in found.journals if each not in dead for path in each.intents}
    leftovers = found.leftovers(dead) - running
    gone.update(dict.fromkeys(leftovers, (0, "its publish never finished")))
    for each in dropped:
        gone.update({path: (size, f"release {each.id}") for path, size in needs(releases, state, each.id).items()})
    deletes = [
        Delete(path, found.listing[path].size if path in found.listing else size, reason)
        for path, (size, reason) in sorted(gone.items())
        if path not in needed
    ]
    foreign = sum(1 for path in found.listing if path not in needed and path not in gone)
    unfinished: tuple[UnfinishedUpload, ...] = ()
    if isinstance(target, KeepsUnfinished):
        latest = (now - settled).timestamp() * 1e9
        unfinished = tuple(each for each in target.unfinished_uploads() if each.started_ns < latest)
    journals = tuple(each.path for each in dead)
    return PrunePlan(state, kept, dropped, tuple(deletes), unfinished, journals, len(found.listing), foreign)


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
    if not found.changes:
        return
    releases, progress = Releases(target), progress or Silent()
    pending = frozenset(each.path for each in found.deletes)
    # The manifests go last: they are all that names the objects of a dropped release.
    manifests = [manifest_path(each.id) for each in found.dropped]
    marked = _without(found.state, found.kept, pending.union(manifests))
    if found.deletes or found.dropped or found.state.pending_deletes:
        releases.move(found.state, marked)
    progress.begin("deleting", len(found.deletes), found.size)
    pool = WorkerPool(workers)
    try:
        for each, _ in pool.run(found.deletes, lambda each: target.delete(each.path)):
            progress.advance(each.size)
        for path in (*manifests, *found.journals):
            target.delete(path)
        if isinstance(target, KeepsUnfinished):
            for upload, _ in pool.run(found.unfinished, target.remove_unfinished):
                progress.advance(upload.size)
    except AssetStoreError as error:
        raise PublishError(f"the prune broke off: {error}; run 'assetstore prune --yes' again to finish it") from error
    finally:
        progress.end()
    if marked.pending_deletes:
        now = releases.require()
        releases.move(now, replace(now, pending_deletes=now.pending_deletes - marked.pending_deletes))


def _without(state: ReleaseState, kept: tuple[ReleaseSummary, ...], pending_deletes: frozenset[str]) -> ReleaseState:
    current = replace(state.current, retained=state.current.retained - pending_deletes)
    ids = {each.id for each in kept}
    history = tuple(each for each in state.history if each in ids)
    return replace(state, current=current, releases=kept, history=history, pending_deletes=pending_deletes)
