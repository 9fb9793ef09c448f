"""Make an earlier release the live one again."""

from __future__ import annotations

from dataclasses import replace

from assetstore.backends.base import WritableBackend
from assetstore.errors import PublishError
from assetstore.names.manifest import Manifest
from assetstore.publish.inventory import Inventory
from assetstore.publish.releases import Releases, ReleaseState

#: Names the release before the live one.
PREVIOUS = "previous"


def rollback(target: WritableBackend, release: str) -> Manifest:
    """Make *release*, or the one before the live one (``previous``), the live one.

    Only the pointer moves: files under plain names stay as they are until the next publish.

    Raises:
        PublishError: no such release is kept, or a file that it needs is gone.
        PublishConflict: somebody else published meanwhile; nothing was changed.
    """
    releases = Releases(target)
    state = releases.require()
    found = Inventory.of(target, state)
    wanted = _kept(state, release)
    if wanted == state.current.release:
        return state.current
    manifest = releases.manifest(wanted)
    gone = [each for each in manifest.fingerprinted() if each not in found.listing or each in state.pending_deletes]
    if gone:
        raise PublishError(
            f"release {wanted} cannot come back: {len(gone)} of its files are gone from {target.label}, "
            f"{gone[0]!r} among them; publish that version again instead"
        )
    own = set(manifest.fingerprinted())
    live = replace(manifest, retained=found.retained(own))
    releases.move(state, replace(state, current=live))
    return live


def _kept(state: ReleaseState, release: str) -> str:
    ids = [each.id for each in state.releases]
    if release == PREVIOUS:
        at = ids.index(state.current.release) if state.current.release in ids else 0
        if at == 0:
            raise PublishError(f"no release before {state.current.release} is kept; see 'assetstore releases'")
        return ids[at - 1]
    if release not in ids:
        raise PublishError(f"no release {release!r} is kept; the kept ones are {', '.join(ids)}")
    return release
