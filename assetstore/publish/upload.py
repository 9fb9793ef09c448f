"""Carry out a plan of a publish, stage by stage, with a barrier after each.

1. every file under its fingerprinted name: no page refers to them yet
2. every file under its plain name
3. the manifest of the release
4. the switch of the live release to it

Nothing is deleted. A failure stops before the next stage, so what is live stays whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, AssetStoreError, BodyTruncated, PublishConflict, PublishError
from assetstore.names.manifest import Entry, Manifest, StoredObject, lines
from assetstore.publish.inventory import Inventory, require_same_bytes
from assetstore.publish.layout import Layout, Stage, open_stored
from assetstore.publish.plan import Plan, Reason, Row
from assetstore.publish.pool import WorkerPool
from assetstore.publish.progress import Progress
from assetstore.publish.releases import Releases, ReleaseState, ReleaseSummary, note, publisher

_log = logging.getLogger("assetstore")


@dataclass(frozen=True, slots=True)
class Work:
    """The source, the target and the threads of one publish."""

    source: Backend
    target: Inventory
    layout: Layout
    pool: WorkerPool
    progress: Progress


def apply(plan: Plan, work: Work, mount: str | None, now: datetime) -> Manifest:
    """Carry out *plan* and return the manifest of the new release.

    Raises:
        PublishConflict: somebody else published meanwhile, or a name is taken by other bytes.
        PublishError: anything else stopped it; the message says in which stage, and how to resume.
    """
    wanted = [row.stored for row in plan.rows if row.writes]
    if wanted:
        work.target.journal.write(wanted, work.target.leftovers())
    validators: dict[str, str | None] = {}
    for stage in Stage:
        validators.update(_write_stage(plan.writes(stage), stage, work))
    manifest = _manifest(plan, validators, mount, now)
    releases = Releases(work.target.backend)
    _guarded("the release's manifest", lambda: releases.save(manifest))
    _guarded("the switch to the new release", lambda: releases.move(plan.state, _state(plan, manifest)))
    return manifest


def _write_stage(rows: list[Row], stage: Stage, work: Work) -> dict[str, str | None]:
    if not rows:
        return {}
    done: dict[str, str | None] = {}
    work.progress.begin(stage.label, len(rows), sum(row.stored.size for row in rows))
    try:
        for row, stat in work.pool.run(rows, lambda row: _write(row, work)):
            done[row.stored.path] = stat.validator
            work.progress.advance(row.stored.size)
    except AssetStoreError as error:
        raise _stopped(stage.label, error, f"{len(done)} of {len(rows)} had arrived") from error
    finally:
        work.progress.end()
    return done


def _write(row: Row, work: Work) -> FileStat:
    backend, stored = work.target.backend, row.stored
    create_only = row.stage is Stage.FINGERPRINTED and row.reason is Reason.MISSING
    options = replace(work.layout.write_options(row.entry, row.stage, stored), create_only=create_only)
    source = open_stored(work.source, row.entry, stored)
    try:
        if source.stat.size != stored.size:
            raise BodyTruncated(f"{row.entry.path!r} changed while it was published", path=row.entry.path)
        return backend.write(stored.path, source, options)
    except PublishConflict:
        # Another publisher created it first; the same bytes are as good as ours.
        return require_same_bytes(backend, stored)
    finally:
        source.close()


def _manifest(plan: Plan, validators: dict[str, str | None], mount: str | None, now: datetime) -> Manifest:
    def left(stored: StoredObject) -> StoredObject:
        validator = validators.get(stored.path, stored.validator)
        return stored if validator == stored.validator else replace(stored, validator=validator)

    rows: dict[str, list[StoredObject]] = {}
    for row in plan.rows:
        rows.setdefault(row.entry.path, []).append(left(row.stored))
    entries: dict[str, Entry] = {path: replace(entry, stored=tuple(rows[path])) for path, entry in plan.entries.items()}
    at = _after(plan.state, now)
    manifest = Manifest("", at, mount, entries, plan.retained)
    return replace(manifest, release=release_id(manifest))


def release_id(manifest: Manifest) -> str:
    """A release's id: its time, so that ids sort as releases do, and a few digits of its content."""
    digest = sha256()
    for line in lines(manifest):
        digest.update(line)
    return f"{manifest.published_at:%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"


def _after(state: ReleaseState | None, now: datetime) -> datetime:
    """*now* in whole seconds, or a second after the latest release if a clock runs behind."""
    now = now.astimezone(UTC).replace(microsecond=0)
    latest = max((each.published_at for each in state.releases), default=None) if state else None
    return now if latest is None or now > latest else latest + timedelta(seconds=1)


def _state(plan: Plan, manifest: Manifest) -> ReleaseState:
    earlier: tuple[ReleaseSummary, ...] = () if plan.state is None else plan.state.releases
    pending_deletes = frozenset() if plan.state is None else plan.state.pending_deletes
    return ReleaseState(manifest, (*earlier, note(manifest, publisher())), pending_deletes)


def _guarded(what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except PublishConflict:
        raise
    except AssetStoreError as error:
        raise _stopped(what, error, "all files had arrived") from error


def _stopped(what: str, error: AssetStoreError, progress: str) -> PublishError:
    advice = "run the same command again: what arrived is not sent again"
    if isinstance(error, AssetNotFound | BodyTruncated):
        advice = "let the build finish, then run the same command again"
    kind = PublishConflict if isinstance(error, PublishConflict) else PublishError
    return kind(f"stopped at {what} ({progress}): {error}; the live release is unchanged; {advice}")
