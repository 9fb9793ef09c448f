"""Make an earlier release the live one again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from assetstore.backends.base import WritableBackend
from assetstore.errors import AssetStoreError, PublishConflict, PublishError
from assetstore.names.manifest import Manifest
from assetstore.publish.inventory import Inventory
from assetstore.publish.plan import listed
from assetstore.publish.pool import WORKERS, WorkerPool
from assetstore.publish.releases import Releases, ReleaseState, lock_unless_conditional
from assetstore.publish.upload import restore_plain_names

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
