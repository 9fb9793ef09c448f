"""Publish the assets of a mount to a bucket or a directory.

1. read the target: its release record, and one listing
2. scan the assets: digests of their bytes, and their names
3. plan: what is written, and why
4. apply, stage by stage; nothing at all where nothing changed
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from assetstore.backends.base import WritableBackend
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Manifest
from assetstore.publish.inventory import Inventory
from assetstore.publish.layout import Layout
from assetstore.publish.plan import Plan, make
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.releases import Releases
from assetstore.publish.scan import scan
from assetstore.publish.upload import Work, apply

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
    workers: int = WORKERS,
    progress: Progress | None = None,
) -> Published:
    """Publish the assets of *mount* to *target*.

    *siblings* are content codings (``br``, ``zstd``, ``gzip``) that are stored beside each file;
    *coding* is one in which the files themselves are stored. With *force*, everything is written.

    Raises:
        SettingsError: a coding that is not known.
        ManifestError: the target's release record is not ours, or of a newer format.
        PublishConflict: somebody else published meanwhile, or a name is taken by other bytes.
        PublishError: it could not finish; the message says how to resume.
        BackendError: the mount's storage, or the target, failed before anything was written.
    """
    began = time.monotonic()
    layout = Layout.of(mount, siblings, coding)
    pool, progress = WorkerPool(workers), progress or Silent()
    state = Releases(target).read()
    found = Inventory.of(target, state)
    live = None if state is None else state.current
    entries = list(scan(mount, layout, live, pool, encode_all=force))
    plan = make(entries, found, pool, force=force)
    if live is not None and not plan.changes:
        return Published(plan, live, False, time.monotonic() - began)
    if stale := plan.stale:
        _log.warning(
            "%d encoded siblings in %s, such as %r, are of an earlier release and are not refreshed; "
            "publish with the same siblings as before, or delete them: servers may send them for the new files",
            len(stale),
            target.label,
            stale[0],
        )
    work = Work(mount.backend, found, layout, pool, progress)
    manifest = apply(plan, work, mount.name, datetime.now(UTC))
    return Published(plan, manifest, True, time.monotonic() - began)
