"""The assets of a mount as they are now: digests of their bytes, and the names that they get.

Times differ between two checkouts of one commit, so only bytes tell whether a file changed, and a file
whose bytes are those of the live release keeps the name that it has there. A file is not read where its
version (inode, size, and a change time that no program can set) is the one that the release recorded.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import TypeVar

from assetstore.assets import compression as compress
from assetstore.assets.media_types import MediaTypes, TextCheck
from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import Overlay
from assetstore.errors import AssetNotFound, BodyTruncated, PublishConflict, PublishError, VersionChanged
from assetstore.mounts.mount import Mount
from assetstore.names.fingerprint import Fingerprint, MtimeFingerprint, fingerprint_of
from assetstore.names.manifest import Entry, Manifest
from assetstore.names.published import ManifestResolver, PublishedFingerprint
from assetstore.publish.layout import Layout, encoded_sizes
from assetstore.publish.pool import WorkerPool
from assetstore.references import js as scripts
from assetstore.references.js import MAX_BYTES, is_module
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.util import listed

_log = logging.getLogger("assetstore")
T = TypeVar("T")

#: How often a file that changes while it is read is read again.
ATTEMPTS = 3
#: A file that changed later than this before it was read may change again within one tick of the file
#: system's clock, so its version is not recorded.
SETTLED_SECONDS = 2.0


def scan(
    mount: Mount,
    layout: Layout,
    previous: Manifest | None,
    pool: WorkerPool,
    *,
    source: Backend | None = None,
    force: bool = False,
    leave_out: Collection[str] = (),
) -> list[Entry]:
    """Every asset of *mount*, with the objects that *layout* makes of it; read from *source*, or as :func:`source_of`.

    What *previous* records of the same version is not read again, and what it records of the same bytes is
    not encoded again, unless *force* is true.

    Raises:
        PublishError: there is none, or one disappeared or changed while it was read.
        BackendError: the mount's own storage failed.
    """
    fingerprinter = published_names(mount.fingerprinter, previous)
    backend = source or source_of(mount, fingerprinter)
    before: Mapping[str, Entry] = {} if previous is None else previous.entries

    def unchanged(stat: FileStat) -> Entry | None:
        """The entry of *previous*, where the file is the version that it was made of and needs the same objects."""
        known = before.get(stat.path)
        if known is None or force or not known.source or known.source != source_version(stat):
            return None
        named = fingerprint_of(replace(stat, sha256=known.sha256), fingerprinter, backend, soon=False)
        return known if named == known.fingerprint and layout.still_holds(known) else None

    def read(stat: FileStat) -> Entry:
        known = before.get(stat.path)
        try:
            entry = _read(backend, stat, fingerprinter, layout.media_types)
            if known is not None and (known.fingerprint, known.sha256) == (entry.fingerprint, entry.sha256):
                entry = replace(entry, mtime_ns=known.mtime_ns)
            smaller = encoded_sizes(backend, entry, None if force else known, layout)
        except AssetNotFound:
            raise PublishError(f"{stat.path!r} is gone from {backend.label} meanwhile; run it again") from None
        return layout.complete(entry, smaller)

    found = sources(mount, backend, lambda stat: None if stat.path in leave_out else unchanged(stat) or stat)
    entries = {path: entry for path, entry in found.items() if isinstance(entry, Entry)}
    for stat, entry in pool.run([stat for stat in found.values() if isinstance(stat, FileStat)], read):
        entries[stat.path] = entry
    return [entries[path] for path in sorted(entries)]


def published_names(fingerprinter: Fingerprint | None, previous: Manifest | None) -> Fingerprint | None:
    """*fingerprinter*, but for names made of times: there what was published keeps its name while its bytes stay."""
    if previous is None or not isinstance(fingerprinter, MtimeFingerprint):
        return fingerprinter
    if previous.fingerprint_length not in {None, fingerprinter.length}:  # every name is another one anyway
        return fingerprinter
    return PublishedFingerprint(ManifestResolver(previous), fingerprinter)


def source_of(mount: Mount, fingerprinter: Fingerprint | None) -> Backend:
    """The backend that is published: with rewritten references they name files as *fingerprinter* does."""
    backend = mount.backend
    if isinstance(backend, RewrittenBackend) and fingerprinter is not None and fingerprinter is not mount.fingerprinter:
        return backend.renamed(fingerprinter)
    return backend


def sources(mount: Mount, backend: Backend, take: Callable[[FileStat], T | None]) -> dict[str, T]:
    """The files of *mount* that may be served, as *take* gives them; ``None`` leaves a file out.

    An encoded sibling (``app.css.br``) of a file is no asset of its own: a stale one would be another body
    at the same URL, and only its bytes could tell.

    Raises:
        PublishError: there is none.
    """
    found: dict[str, T] = {}
    left_out = []
    for stat in backend.walk():
        if not mount.selection.allows(stat.path):
            left_out.append(stat.path)
        if mount.allows(stat.path) and (taken := take(stat)) is not None:
            found[stat.path] = taken
    if left_out:
        _log.warning(
            "left out of the publish, as secrets, leftovers or excluded: %s; name them with include= to publish them",
            listed(left_out, 10),
        )
    siblings = [path for path in found if path.endswith(_SUFFIXES) and path.rpartition(".")[0] in found]
    if siblings:
        _log.warning(
            "left out of the publish, as encoded siblings of other files: %s; publish makes its own with --siblings",
            listed(siblings, 10),
        )
    for path in siblings:
        del found[path]
    if not found:
        raise PublishError(f"mount {mount.label} has no asset in {backend.label}; was the build run before?")
    return found


_SUFFIXES = tuple(compress.SUFFIXES.values())


def roots_of(backend: Backend) -> list[Backend]:
    """Where the files of *backend* are as their authors wrote them: one backend for each directory of an overlay."""
    if isinstance(backend, RewrittenBackend):
        return roots_of(backend.inner)
    return list(backend.layers) if isinstance(backend, Overlay) else [backend]


def refuse_overlap(source: Backend, target: Backend) -> None:
    """Refuse to publish a root onto itself, or into itself.

    Raises:
        PublishConflict: the target is the root, or below it.
    """
    for root in roots_of(source):
        if type(root) is type(target) and _is_inside(target, root):
            raise PublishConflict(
                f"the target {target.label} is the root {root.label} of the mount, or below it: each publish would "
                "publish the one before it; give a target outside of the root"
            )


def _is_inside(target: Backend, root: Backend) -> bool:
    if root.remote:
        return f"{target.label}/".startswith(f"{root.label}/")
    if target.label == root.label:
        return True
    if "://" in target.label:
        return False
    below = os.path.relpath(os.path.realpath(target.label), os.path.realpath(root.label)).split(os.sep)
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in below)
    return below[0] != ".." and not hidden


def source_version(stat: FileStat) -> str:
    """A digest of the version of a source file; empty where only time and size are known, which is not enough."""
    if stat.fingerprint is not None or (stat.signature is None and stat.validator is None):
        return ""
    version = b"%d %d %d %d %d" % stat.signature if stat.signature is not None else repr(stat.version).encode()
    return blake2b(version, digest_size=9).hexdigest()


def _read(backend: Backend, stat: FileStat, fingerprinter: Fingerprint | None, media_types: MediaTypes) -> Entry:
    for _ in range(ATTEMPTS):
        began = time.time_ns()
        opened = backend.open(stat.path)
        sha256, sha384 = hashlib.sha256(), hashlib.sha384()
        text = TextCheck() if media_types.is_text(stat.path) else None
        module = bytearray() if is_module(opened.stat.path) and opened.stat.size <= MAX_BYTES else None
        try:
            for chunk in opened.chunks(0, opened.stat.size):
                sha256.update(chunk)
                sha384.update(chunk)
                if text is not None:
                    text.update(chunk)
                if module is not None:
                    module += chunk
            if text is not None:
                text.end()
            version = replace(opened.stat, sha256=sha256.hexdigest())
        except (VersionChanged, BodyTruncated):
            continue
        finally:
            opened.close()
        if opened.stat.signature is None or backend.stat(stat.path).version == opened.stat.version:
            break
    else:
        raise PublishError(
            f"{stat.path!r} in {backend.label} changes while it is read; let the build finish, then run it again"
        )
    signature = opened.stat.signature
    settled = signature is None or began - signature.ctime_ns > SETTLED_SECONDS * 1e9
    return Entry(
        path=stat.path,
        fingerprint=fingerprint_of(version, fingerprinter, backend, soon=False),
        size=version.size,
        sha256=version.sha256 or "",
        integrity=f"sha384-{base64.b64encode(sha384.digest()).decode()}",
        content_type=sys.intern(media_types.of(stat.path, utf8=text is None or text.is_utf8)),
        mtime_ns=version.mtime_ns,
        imports=None if module is None else tuple(scripts.scan(bytes(module))),
        source=source_version(opened.stat) if settled else "",
    )
