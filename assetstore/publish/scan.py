"""The assets of a mount as they are now: digests of their bytes, and the names that they get.

Every file is read, because only bytes tell whether it changed: times differ between two checkouts
of one commit. Where fingerprints are made of times, an asset whose bytes are those of the live
release keeps the name that it has there.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from assetstore.assets import compression as compress
from assetstore.assets import media_types
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, PublishError
from assetstore.mounts.mount import Mount
from assetstore.names.fingerprint import Fingerprint, MtimeFingerprint, fingerprint_of
from assetstore.names.manifest import Entry, Manifest
from assetstore.publish.layout import Layout, encoded_sizes
from assetstore.publish.pool import WorkerPool
from assetstore.references import js as scripts
from assetstore.references.js import MAX_BYTES, is_module

#: The fingerprint of one version, whose ``sha256`` is known.
Name = Callable[[FileStat], str | None]


def scan(
    mount: Mount, layout: Layout, previous: Manifest | None, pool: WorkerPool, *, encode_all: bool = False
) -> Iterator[Entry]:
    """Every asset of *mount*, with the objects that *layout* makes of it.

    What *previous* knows of the same bytes is not encoded again, unless *encode_all* says so.

    Raises:
        PublishError: there is none, or one disappeared meanwhile.
        BackendError: the mount's own storage failed.
    """
    stats = sources(mount, layout)
    name = naming(mount.backend, mount.fingerprinter, stats, previous)
    before: Mapping[str, Entry] = {} if previous is None else previous.entries

    def look(stat: FileStat) -> Entry:
        known = before.get(stat.path)
        try:
            entry = _entry(mount.backend, stat, name)
            if known is not None and _same_asset(known, entry):
                entry = replace(entry, mtime_ns=known.mtime_ns)
            smaller = encoded_sizes(mount.backend, entry, None if encode_all else known, layout)
        except AssetNotFound:
            raise PublishError(f"{stat.path!r} is gone from {mount.backend.label} meanwhile; run it again") from None
        return replace(entry, stored=tuple(stored for _, stored in layout.objects(entry, smaller)))

    for _, entry in pool.run(stats, look):
        yield entry


def sources(mount: Mount, layout: Layout) -> list[FileStat]:
    """The files of *mount* that may be served, in the order of their paths.

    A ``.br`` beside its original is left out where the layout makes siblings: a stale one would
    be another body at the same URL.

    Raises:
        PublishError: there is none.
    """
    found = {stat.path: stat for stat in mount.backend.walk() if mount.allows(stat.path)}
    for suffix in (compress.SUFFIXES[each] for each in layout.siblings):
        for path in [each for each in found if each.endswith(suffix) and each.removesuffix(suffix) in found]:
            del found[path]
    if not found:
        raise PublishError(f"mount {mount.label} has no asset in {mount.backend.label}; was the build run before?")
    return [found[path] for path in sorted(found)]


def naming(
    backend: Backend, fingerprinter: Fingerprint | None, stats: list[FileStat], previous: Manifest | None
) -> Name:
    """How the assets are named: decided once, for all of them."""

    def live(stat: FileStat) -> str | None:
        return fingerprint_of(stat, fingerprinter, backend, soon=False)

    def kept(stat: FileStat) -> str | None:
        known = None if previous is None else previous.entries.get(stat.path)
        same = known is not None and known.sha256 == stat.sha256 and known.fingerprint is not None
        return known.fingerprint if same and known is not None else live(stat)

    # A backend that decides fingerprints itself writes them into other files' bytes: those names hold.
    decided = any(stat.fingerprint is not None for stat in stats)
    return kept if isinstance(fingerprinter, MtimeFingerprint) and not decided else live


def _entry(backend: Backend, stat: FileStat, name: Name) -> Entry:
    opened = backend.open(stat.path)
    sha256, sha384 = hashlib.sha256(), hashlib.sha384()
    module = bytearray() if is_module(stat.path) and opened.stat.size <= MAX_BYTES else None
    try:
        for chunk in opened.chunks(0, opened.stat.size):
            sha256.update(chunk)
            sha384.update(chunk)
            if module is not None:
                module += chunk
        version = replace(opened.stat, sha256=sha256.hexdigest())
    finally:
        opened.close()
    return Entry(
        path=stat.path,
        fingerprint=name(version),
        size=version.size,
        sha256=sha256.hexdigest(),
        integrity=f"sha384-{base64.b64encode(sha384.digest()).decode()}",
        content_type=sys.intern(media_types.of(stat.path)),
        mtime_ns=version.mtime_ns,
        imports=None if module is None else tuple(scripts.scan(bytes(module))),
    )


def _same_asset(known: Entry, entry: Entry) -> bool:
    return (known.fingerprint, known.sha256) == (entry.fingerprint, entry.sha256)
