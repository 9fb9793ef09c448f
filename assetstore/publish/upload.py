"""Carry out a plan of a publish, stage by stage, with a barrier after each.

1. every file under its fingerprinted name: no page refers to them yet
2. every file under its plain name
3. the manifest of the release
4. the switch of the live release to it
5. plain names that another publisher wrote meanwhile are written again

Nothing is deleted. A failure stops before the next stage, so pages that are out stay whole.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby

from assetstore.backends.base import Backend, FileStat, WritableBackend
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BodyTruncated,
    PublishConflict,
    PublishError,
    VersionChanged,
)
from assetstore.names.manifest import Entry, Manifest, lines
from assetstore.publish.inventory import (
    Inventory,
    announce,
    new_name,
    require_same_bytes,
    version_text,
)
from assetstore.publish.layout import Layout, Stage, open_stored
from assetstore.publish.lock import Lock, probe_conditions
from assetstore.publish.plan import Plan, Reason, Row
from assetstore.publish.pool import WorkerPool
from assetstore.publish.progress import Progress
from assetstore.publish.releases import (
    CURRENT,
    Releases,
    ReleaseState,
    lock_unless_conditional,
    next_time,
    summary,
)
from assetstore.publish.rollback import restore_plain_names

#: How often plain names are compared after a switch, while other publishers write them.
SETTLE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Upload:
    """One publish that is carried out: where the bytes come from, and where they go."""

    source: Backend
    inventory: Inventory
    layout: Layout
    pool: WorkerPool
    progress: Progress
    plan: Plan
    mount: str | None
    note: str
    now: datetime

    def run(self) -> Manifest:
        """Carry out the plan and return the manifest of the new release, which is live then.

        Raises:
            PublishConflict: somebody else published meanwhile, or a name is taken by other bytes.
            PublishError: anything else stopped it; the message says in which stage, and how to resume.
        """
        target, plan = self.inventory.backend, self.plan
        # What a killed publish left and this one needs is announced again, so that no prune takes it for a leftover.
        adopted = self.inventory.leftovers(self.inventory.journals)
        announced = (row.stored for row in plan.rows if row.writes or row.stored.path in adopted)
        journal = new_name()
        announce(target, journal, announced, datetime.now(UTC))
        probe_conditions(target)
        manifest = self._published(target)
        with suppress(AssetStoreError):  # the release record names it all; prune deletes old journals
            target.delete(journal)
        return manifest

    def _published(self, target: WritableBackend) -> Manifest:
        plan = self.plan
        validators = self._write_stage(Stage.FINGERPRINTED)
        with lock_unless_conditional(target, plan.state) as lock:
            if plan.writes(Stage.PLAIN):
                _guarded("the release record", lambda: self._refuse_outdated(target))
            validators |= self._write_stage(Stage.PLAIN)
            manifest = self._manifest(validators)
            self._switch(target, manifest, lock)
            return self._settled(target, manifest, lock)

    def _refuse_outdated(self, target: WritableBackend) -> None:
        """Stop before any plain name is written, if another release is live than the one that was planned from.

        Raises:
            PublishConflict: it is.
        """
        seen, current = self.plan.state, None
        with suppress(AssetNotFound):
            current = version_text(target.stat(CURRENT))
        before = None if seen is None or seen.stat is None else version_text(seen.stat)
        if current != before:
            raise PublishConflict(
                f"somebody else changed the live release in {target.label} meanwhile; "
                "the live site is whole; run the same command again to start from what is there now"
            )

    def _write_stage(self, stage: Stage) -> dict[str, str | None]:
        rows = self.plan.writes(stage)
        if not rows:
            return {}
        done: dict[str, str | None] = {}
        self.progress.begin(stage.label, len(rows), sum(row.stored.size for row in rows))
        try:
            for row, stat in self.pool.run(rows, self._write):
                done[row.stored.path] = version_text(stat)
                self.progress.advance(row.stored.size)
        except AssetStoreError as error:
            raise _stopped(stage.label, error, f"{len(done)} of {len(rows)} had arrived") from error
        finally:
            self.progress.end()
        return done

    def _write(self, row: Row) -> FileStat:
        target, stored = self.inventory.backend, row.stored
        # A name that is the digest of the very bytes can be written twice; for others the first one to write decides.
        decided = row.entry.fingerprint == stored.sha256
        create_only = row.stage is Stage.FINGERPRINTED and row.reason is Reason.MISSING and not decided
        options = replace(self.layout.write_options(row.entry, stored), create_only=create_only)
        source = open_stored(self.source, row.entry, stored)
        try:
            if source.stat.size != stored.size:
                raise BodyTruncated(f"{row.entry.path!r} changed while it was published", path=row.entry.path)
            return target.write(stored.path, source, options)
        except PublishConflict:
            # Another publisher created it first, or our own response was lost; the same bytes are as good as ours.
            return require_same_bytes(target, stored)
        finally:
            source.close()

    def _manifest(self, validators: dict[str, str | None]) -> Manifest:
        entries: dict[str, Entry] = {}
        for path, rows in groupby(self.plan.rows, lambda row: row.entry.path):
            stored = [
                row.stored
                if validators.get(row.stored.path, row.stored.validator) == row.stored.validator
                else replace(row.stored, validator=validators[row.stored.path])
                for row in rows
            ]
            entry = self.plan.entries[path]
            same = len(stored) == len(entry.stored) and all(map(operator.is_, stored, entry.stored))
            entries[path] = entry if same else replace(entry, stored=tuple(stored))
        at = next_time(self.plan.state, self.now)
        cache_control = self.layout.plain_cache_control
        earlier, retained = self.plan.state, self.plan.retained
        digests = {} if earlier is None else earlier.current.digests_of(retained)
        manifest = Manifest("", at, self.mount, entries, retained, digests, cache_control)
        return replace(manifest, release=release_id(manifest))

    def _switch(self, target: WritableBackend, manifest: Manifest, lock: Lock | None) -> None:
        releases, seen = Releases(target), self.plan.state
        _guarded("the release's manifest", lambda: releases.save(manifest))
        noted = summary(manifest, self.note)
        if seen is None:
            state = ReleaseState(manifest, (noted,), history=(manifest.release,))
        else:
            state = replace(
                seen,
                current=manifest,
                releases=(*seen.releases, noted),
                history=(*seen.history, manifest.release),
            )
        try:
            # Without a response the outcome is not known: the request may still be carried out.
            unknown = "'assetstore releases' shows which release is live"
            _guarded("the switch to the new release", lambda: releases.move(seen, state, lock), unknown)
        except PublishConflict as error:
            with suppress(AssetStoreError):
                releases.forget(manifest.release)
            raise PublishConflict(f"{error}; {self._repaired(releases)}") from error

    def _repaired(self, releases: Releases) -> str:
        """Write the plain names of the live release again, over those of this run, and say what came of it."""
        try:
            live = releases.read()
            if live is None:
                return "nothing is live"
            _, restored = restore_plain_names(live.current, self.inventory.backend, self.pool)
        except AssetStoreError as error:
            return f"some files under plain names may be of this run, as they cannot be written again ({error})"
        return (
            f"the live site is whole ({restored} files under plain names were written again)"
            if restored
            else ("the live site is whole")
        )

    def _settled(self, target: WritableBackend, manifest: Manifest, lock: Lock | None) -> Manifest:
        """The manifest that is live, after its plain names were compared with one more listing.

        Another publisher that lost the race, or was killed in it, may have written them since. With the
        lock held none has.
        """
        if lock is not None or not self.plan.writes(Stage.PLAIN):
            return manifest
        releases = Releases(target)
        try:
            for _ in range(SETTLE_ROUNDS):
                repaired, restored = restore_plain_names(manifest, target, self.pool)
                if not restored:
                    return manifest
                state = releases.require()
                if state.current.release != manifest.release:
                    return manifest
                manifest = repaired
                releases.move(state, replace(state, current=manifest))
        except PublishConflict:
            return manifest  # a later release is live, and its publisher compares them in turn
        except AssetStoreError as error:
            raise PublishError(
                f"release {manifest.release} is live in {target.label}, but its plain names cannot be compared: "
                f"{error}; run the same command again"
            ) from error
        return manifest


def release_id(manifest: Manifest) -> str:
    """A release's id: its time, so that ids sort as releases do, and a few digits of its content."""
    digest = sha256()
    for line in lines(manifest):
        digest.update(line)
    return f"{manifest.published_at:%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"


def _guarded(what: str, act: Callable[[], None], outcome: str = "the live release is unchanged") -> None:
    try:
        act()
    except PublishConflict:
        raise
    except AssetStoreError as error:
        raise _stopped(what, error, "all files had arrived", outcome) from error


def _stopped(
    what: str, error: AssetStoreError, progress: str, outcome: str = "the live release is unchanged"
) -> PublishError:
    advice = "run the same command again: what arrived is not sent again"
    if isinstance(error, AssetNotFound | BodyTruncated | VersionChanged):
        advice = "let the build finish, then run the same command again"
    kind = PublishConflict if isinstance(error, PublishConflict) else PublishError
    return kind(f"stopped at {what} ({progress}): {error}; {outcome}; {advice}")
