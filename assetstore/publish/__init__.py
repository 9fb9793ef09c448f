"""This module owns the story of a publish.

1. find what stands in the target: one read of its ledger, one listing
2. survey the assets: their bytes' digests, and the names that they get
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
from assetstore.publish.inventory import Target
from assetstore.publish.layout import Recipe
from assetstore.publish.plan import Plan, make
from assetstore.publish.pool import WORKERS, Crew
from assetstore.publish.progress import Progress, Silent
from assetstore.publish.releases import Ledger
from assetstore.publish.scan import survey
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
        ManifestError: the target's ledger is not ours, or of a newer format.
        PublishConflict: somebody else published meanwhile, or a name is taken by other bytes.
        PublishError: it could not finish; the message says how to resume.
        BackendError: the mount's storage, or the target, failed before anything was written.
    """
    began = time.monotonic()
    recipe = Recipe.of(mount, siblings, coding)
    crew, progress = Crew(workers), progress or Silent()
    record = Ledger(target).read()
    found = Target.of(target, record)
    live = None if record is None else record.current
    entries = list(survey(mount, recipe, live, crew, encode_all=force))
    plan = make(entries, found, crew, force=force)
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
    work = Work(mount.backend, found, recipe, crew, progress)
    manifest = apply(plan, work, mount.name, datetime.now(UTC))
    return Published(plan, manifest, True, time.monotonic() - began)
