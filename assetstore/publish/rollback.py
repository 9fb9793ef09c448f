"""Make an earlier release the live one again, and write the plain names of a release again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from assetstore.assets.media_types import coding_of
from assetstore.backends.base import FileStat, WritableBackend, WriteOptions
from assetstore.errors import AssetNotFound, AssetStoreError, BodyTruncated, PublishConflict, PublishError
from assetstore.names.manifest import Entry, Manifest, StoredObject
from assetstore.publish.inventory import (
    Inventory,
    ListedObject,
    is_as_recorded,
    stored_sha256,
    version_text,
    walk_all,
)
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.releases import Releases, ReleaseState, lock_unless_conditional
from assetstore.util import listed

#: Names the release that was live before the live one.
PREVIOUS = "previous"


def rollback(target: WritableBackend, release: str, *, workers: int = WORKERS) -> Manifest:
    """Make *release*, or the one that was live before the live one (``previous``), the live one.

    A release that was withdrawn by an earlier rollback is not ``previous``. Files under plain names are
    written again from the release's fingerprinted files, then the live release is switched.

    Raises:
        PublishError: no such release is kept, or a file that it needs is gone.
        PublishConflict: somebody else published meanwhile; the live release is unchanged.
    """
    releases, pool = Releases(target), WorkerPool(workers)
    state = releases.require()
    wanted = _kept(state, release)
    live = state.current if wanted == state.current.release else releases.manifest(wanted)
    with lock_unless_conditional(target, state) as lock:
        found = Inventory.of(target, state)
        _require_files(live, found)
        live, restored = restore_plain_names(live, target, pool)
        retained = found.retained(set(live.fingerprinted()))
        live = replace(live, retained=retained, retained_digests=state.current.digests_of(retained))
        if wanted == state.current.release and not restored:
            return state.current
        try:
            releases.move(state, replace(state, current=live, history=_history(state, wanted)), lock)
        except PublishConflict as error:
            with suppress(AssetStoreError):
                restore_plain_names(releases.require().current, target, pool)
            raise PublishConflict(f"{error}; nothing was rolled back") from error
    return live


def _require_files(manifest: Manifest, found: Inventory) -> None:
    pending = frozenset() if found.state is None else found.state.pending_deletes
    gone = [each for each in manifest.fingerprinted() if each not in found.listing or each in pending]
    if gone:
        raise PublishError(
            f"release {manifest.release} cannot come back: {len(gone)} of its files are gone from "
            f"{found.backend.label}, {listed(gone)}; publish that version again instead"
        )


def _history(state: ReleaseState, wanted: str) -> tuple[str, ...]:
    """The releases that were live before, without those that this rollback withdraws."""
    if wanted in state.history:
        last = len(state.history) - 1 - state.history[::-1].index(wanted)
        return state.history[: last + 1]
    return (*state.history, wanted)


def _kept(state: ReleaseState, release: str) -> str:
    ids = [each.id for each in state.releases]
    if release == PREVIOUS:
        if state.previous is None:
            raise PublishError(
                f"no release before {state.current.release} was live and is kept; see 'assetstore releases'"
            )
        return state.previous
    if release not in ids:
        raise PublishError(f"no release {release!r} is kept; the kept ones are {', '.join(ids)}")
    return release


def restore_plain_names(manifest: Manifest, target: WritableBackend, pool: WorkerPool) -> tuple[Manifest, int]:
    """Write each plain name of *manifest* that has other bytes again, from its fingerprinted twin in *target*.

    Returns the manifest with the versions that are there now, and how many objects were written.

    Raises:
        PublishError: a file has no twin, or the twin is gone or damaged.
        BackendError: the target failed.
    """
    plain = {
        stored.path: (entry, stored)
        for entry in manifest.entries.values()
        for stored in entry.stored
        if not entry.immutable(stored)
    }
    # Only what differs is kept of the listing: there may be 100,000 objects.
    differing: dict[str, ListedObject] = {}
    for stat in walk_all(target):
        if (found := plain.get(stat.path)) is not None:
            # A time in whole seconds (SFTP) may be that of two releases that were published within one.
            tells = stat.validator is not None or stat.signature is not None or (stat.mtime_ns or 0) % 10**9 != 0
            if tells and is_as_recorded(found[1], stat):
                del plain[stat.path]
            else:
                differing[stat.path] = ListedObject(stat.size, version_text(stat))
    jobs = list(plain.values())
    if not jobs:
        return manifest, 0

    def restore(job: tuple[Entry, StoredObject]) -> tuple[StoredObject, bool]:
        entry, stored = job
        listed = differing.get(stored.path)
        if listed is not None and listed.size == stored.size:
            with suppress(AssetNotFound):
                if stored_sha256(target, stored.path) == stored.sha256:
                    return replace(stored, validator=listed.validator), False
        return replace(stored, validator=version_text(_copy_twin(manifest, entry, stored, target))), True

    changed: dict[str, StoredObject] = {}
    written = 0
    for (_, stored), (now, wrote) in pool.run(jobs, restore):
        changed[stored.path] = now
        written += wrote
    entries = {
        path: replace(entry, stored=tuple(changed.get(each.path, each) for each in entry.stored))
        for path, entry in manifest.entries.items()
    }
    return replace(manifest, entries=entries), written


def _copy_twin(manifest: Manifest, entry: Entry, stored: StoredObject, target: WritableBackend) -> FileStat:
    twins = [each for each in entry.stored if entry.immutable(each) and each.coding == stored.coding]
    twins = [each for each in twins if each.sha256 == stored.sha256]
    if not twins:
        raise PublishError(
            f"{stored.path!r} of release {manifest.release} was overwritten in {target.label}, and has no fingerprinted "
            "name to be copied from; publish that version again"
        )
    metadata = {"assetstore-sha256": stored.sha256}
    if entry.fingerprint is not None:
        metadata["assetstore-fingerprint"] = entry.fingerprint
    options = WriteOptions(
        entry.content_type,
        entry.plain_cache_control or manifest.plain_cache_control,
        stored.coding or coding_of(entry.path),
        dict(entry.headers),
        metadata,
        sha256=stored.sha256,
    )
    try:
        source = target.open(twins[0].path)
    except AssetNotFound:
        raise PublishError(f"{twins[0].path!r} is gone from {target.label}; publish that version again") from None
    try:
        return target.write(stored.path, source, options)
    except BodyTruncated as error:
        raise PublishError(
            f"{twins[0].path!r} in {target.label} is damaged ({error}); publish that version again"
        ) from error
    finally:
        source.close()
