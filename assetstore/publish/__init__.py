"""Publish the assets of a mount to a bucket or a directory.

1. read the target: its release record, and one listing
2. scan the assets: digests of their bytes, and their names
3. plan: what is written, and why
4. apply, stage by stage; nothing at all where nothing changed
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from assetstore.backends.base import WritableBackend
from assetstore.errors import AssetStoreError, PublishConflict
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Manifest
from assetstore.publish.inventory import Inventory
from assetstore.publish.layout import Layout
from assetstore.publish.plan import Plan, make
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.releases import Releases, ReleaseState
from assetstore.publish.scan import published_names, refuse_overlap, scan, source_of
from assetstore.publish.upload import Upload

_log = logging.getLogger("assetstore")


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did."""

    plan: Plan
    #: The live manifest: of the new release, or the earlier one where nothing changed.
    manifest: Manifest
    #: Whether a new release was made.
    released: bool
    seconds: float

    @property
    def new(self) -> int:
        """Objects that were written."""
        return sum(row.writes for row in self.plan.rows)

    @property
    def same(self) -> int:
        """Objects that were there already."""
        return len(self.plan.rows) - self.new

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return sum(row.stored.size for row in self.plan.rows if row.writes)


def publish(
    mount: Mount,
    target: WritableBackend,
    *,
    siblings: tuple[str, ...] = (),
    coding: str | None = None,
    force: bool = False,
    replace_mount: bool = False,
    note: str = "",
    leave_out: Collection[str] = (),
    workers: int = WORKERS,
    progress: Progress | None = None,
) -> Published:
    """Publish the assets of *mount* to *target*.

    Args:
        siblings: content codings (``br``, ``zstd``, ``gzip``) that are stored beside each file.
        coding: one in which the files themselves are stored.
        force: write everything, whatever the target has.
        replace_mount: publish although the live release of the target is of another mount.
        note: what the release record says of the release; whoever can read the bucket can read it.
        leave_out: logical paths that are no part of the release.
        workers: uploads at once.
        progress: receives each stage and each file that is finished.

    Raises:
        SettingsError: a coding that is not known.
        ManifestError: the target's release record is not ours, or of a newer format.
        PublishConflict: somebody else published meanwhile, a name is taken by other bytes, the target holds
            another mount's release, or it is the root of the mount.
        PublishError: it could not finish; the message says how to resume.
        BackendError: the mount's storage, or the target, failed before anything was written.
    """
    began = time.monotonic()
    layout = Layout.of(mount, siblings, coding)
    pool, progress = WorkerPool(workers), progress or Silent()
    refuse_overlap(mount.backend, target)
    releases = Releases(target)
    state = releases.read()
    live = None if state is None else state.current
    if live is not None and not replace_mount and None not in (live.mount, mount.name) and live.mount != mount.name:
        raise PublishConflict(
            f"the live release in {target.label} is of the mount {live.mount!r}, not {mount.name!r}: its files would no "
            "longer be named; give another target, or --replace (replace_mount=True) if that is what you want"
        )
    inventory = Inventory.of(target, state)
    source = source_of(mount, published_names(mount.fingerprinter, live))
    entries = scan(mount, layout, live, pool, source=source, force=force, leave_out=leave_out)
    plan = make(entries, inventory, pool, force=force)
    if state is not None and live is not None and not plan.changes:
        if plan.drifted:
            live = _refreshed(releases, state, plan)
        return Published(plan, live, False, time.monotonic() - began)
    if stale := plan.stale:
        _log.warning(
            "%d encoded siblings in %s, such as %r, are of an earlier release and are not refreshed; "
            "publish with the same siblings as before, or delete them: servers may send them for the new files",
            len(stale),
            target.label,
            stale[0],
        )
    upload = Upload(source, inventory, layout, pool, progress, plan, mount.name, note, datetime.now(UTC))
    return Published(plan, upload.run(), True, time.monotonic() - began)


def _refreshed(releases: Releases, state: ReleaseState, plan: Plan) -> Manifest:
    """Record the versions of the same bytes that the target has now, so that the next run need not read them."""
    rows = {row.stored.path: row.stored for row in plan.rows}
    entries = {
        path: replace(entry, stored=tuple(rows.get(each.path, each) for each in entry.stored))
        for path, entry in plan.entries.items()
    }
    live = replace(state.current, entries=entries)
    with suppress(AssetStoreError):  # only time is lost
        releases.move(state, replace(state, current=live))
        return live
    return state.current
