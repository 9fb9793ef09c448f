"""This module owns making an earlier release the live one again."""

from __future__ import annotations

from dataclasses import replace

from assetstore.backends.base import WritableBackend
from assetstore.errors import PublishError
from assetstore.names.manifest import Manifest
from assetstore.publish.inventory import Target
from assetstore.publish.releases import Ledger, Record

#: Names the release before the live one.
PREVIOUS = "previous"


def rollback(target: WritableBackend, release: str) -> Manifest:
    """Make *release*, or the one before the live one (``previous``), the live one.

    Only the pointer moves: files under plain names stay as they are until the next publish.

    Raises:
        PublishError: no such release is kept, or a file that it needs is gone.
        PublishConflict: somebody else published meanwhile; nothing was changed.
    """
    books = Ledger(target)
    record = books.require()
    found = Target.of(target, record)
    wanted = _kept(record, release)
    if wanted == record.current.release:
        return record.current
    manifest = books.manifest(wanted)
    gone = [each for each in manifest.fingerprinted() if each not in found.listing or each in record.condemned]
    if gone:
        raise PublishError(
            f"release {wanted} cannot come back: {len(gone)} of its files are gone from {target.label}, "
            f"{gone[0]!r} among them; publish that version again instead"
        )
    own = set(manifest.fingerprinted())
    live = replace(manifest, retained=found.retained(own))
    books.move(record, replace(record, current=live))
    return live


def _kept(record: Record, release: str) -> str:
    ids = [each.id for each in record.releases]
    if release == PREVIOUS:
        at = ids.index(record.current.release) if record.current.release in ids else 0
        if at == 0:
            raise PublishError(f"no release before {record.current.release} is kept; see 'assetstore releases'")
        return ids[at - 1]
    if release not in ids:
        raise PublishError(f"no release {release!r} is kept; the kept ones are {', '.join(ids)}")
    return release
