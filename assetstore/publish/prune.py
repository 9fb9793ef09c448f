"""This module owns deleting what no kept release names.

Only names that the ledger wrote are ever deleted: those of the releases that are dropped, and
those that an unfinished publish noted before it broke off. The names are first written into the
ledger as condemned, so that no publish relies on them while they go; then they are deleted; then
the ledger forgets them. A prune that breaks off is finished by the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from assetstore.backends.base import WritableBackend
from assetstore.errors import AssetStoreError, PublishError, SettingsError
from assetstore.publish.crew import WORKERS, Crew
from assetstore.publish.ledger import Ledger, Record, ReleaseNote
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.retention import Keep, needs
from assetstore.publish.target import Target

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
    #: Why: the newest release that named it, or how else the ledger knows it.
    reason: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What a prune would do."""

    record: Record
    kept: tuple[ReleaseNote, ...]
    dropped: tuple[ReleaseNote, ...]
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
    books = Ledger(target)
    record = books.require()
    found = Target.of(target, record)
    kept, dropped = keep.split(record, now)
    needed = {name for each in kept for name in needs(books, record, each.id)}
    gone: dict[str, str] = dict.fromkeys(record.condemned, "an earlier prune broke off")
    if now - found.arrivals.journal.at > max(keep.younger_than, UNFINISHED_AGE):
        gone.update(dict.fromkeys(found.leftovers(), "its publish never finished"))
    for each in dropped:
        gone.update(dict.fromkeys(needs(books, record, each.id), f"release {each.id}"))
    deletes = [
        Delete(path, found.listing[path].size, reason)
        for path, reason in sorted(gone.items())
        if path in found.listing and path not in needed
    ]
    foreign = sum(1 for path in found.listing if path not in needed and path not in gone)
    return PrunePlan(record, kept, dropped, tuple(deletes), len(found.listing), foreign)


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
    if not (found.deletes or found.dropped or found.record.condemned):
        return
    books, progress = Ledger(target), progress or Silent()
    condemned = frozenset(each.path for each in found.deletes)
    books.move(found.record, _without(found.record, found.kept, condemned))
    progress.begin("deleting", len(found.deletes), found.size)
    try:
        for each, _ in Crew(workers).run(found.deletes, lambda each: target.delete(each.path)):
            progress.advance(each.size)
        for note in found.dropped:
            books.forget(note.id)
    except AssetStoreError as error:
        raise PublishError(f"the prune broke off: {error}; run 'assetstore prune --yes' again to finish it") from error
    finally:
        progress.end()
    marked = books.require()
    books.move(marked, replace(marked, condemned=marked.condemned - condemned))


def _without(record: Record, kept: tuple[ReleaseNote, ...], condemned: frozenset[str]) -> Record:
    current = replace(record.current, retained=record.current.retained - condemned)
    return replace(record, current=current, releases=kept, condemned=condemned)
