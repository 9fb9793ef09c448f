"""The release record of a target, and the switch of the live release.

Below the target, under a prefix that is never served, stand one manifest for each release
(written once) and ``current.json``: the live release's manifest, followed by the list of releases
that are kept. Reading the release record is therefore one read, and switching is one conditional write.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from types import TracebackType
from typing import Any

from assetstore.backends.base import BytesFile, FileStat, LearnsConditions, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, ManifestError, PublishConflict, PublishError
from assetstore.names import manifest as manifests
from assetstore.names.manifest import Manifest

#: After this long a lock counts as left behind: what it guards takes a second.
STALE_SECONDS = 300.0
#: How long to wait for somebody else's, and how often to look.
WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.1
#: Where a target cannot refuse a second writer, how long after the first one it may still come.
SETTLE_SECONDS = 0.3

_LOCK_OPTIONS = WriteOptions("application/json", "no-store", create_only=True)


def publisher() -> str:
    """Who is publishing: user and host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    return f"{user}@{socket.gethostname()}"


class Lock:
    """One lock object, as a context manager.

    Raises:
        PublishConflict: on entering, if somebody else holds it; says who and since when.
    """

    def __init__(self, target: WritableBackend, path: str, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._target = target
        self._path = path
        self._wait_seconds = wait_seconds

    def __enter__(self) -> Lock:
        until = time.monotonic() + self._wait_seconds
        while not self._taken():
            holder = self._holder()
            if holder is not None and _left_behind(holder):
                self._target.delete(self._path)
            elif time.monotonic() >= until:
                raise PublishConflict(_held(holder, f"{self._path} in {self._target.label}"))
            else:
                time.sleep(LOOK_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.delete(self._path)

    def _taken(self) -> bool:
        mine = {
            "owner": publisher(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "at": time.time(),
            "token": secrets.token_hex(16),
        }
        source = BytesFile.of(self._path, json.dumps(mine).encode())
        try:
            self._target.write(self._path, source, _LOCK_OPTIONS)
        except PublishConflict:
            return False
        if isinstance(self._target, LearnsConditions) and not self._target.conditional_creates:
            time.sleep(SETTLE_SECONDS)
        # Where two could write at once, or take over at once, the later one stands there now.
        return self._holder() == mine

    def _holder(self) -> dict[str, Any] | None:
        with suppress(AssetNotFound, ValueError):
            found = json.loads(read_bytes(self._target, self._path))
            return found if isinstance(found, dict) else {}
        return None


def _left_behind(holder: dict[str, Any]) -> bool:
    if holder.get("host") == socket.gethostname() and _gone(holder.get("pid")):
        return True
    at = holder.get("at")
    return not isinstance(at, int | float) or time.time() - at > STALE_SECONDS


def _gone(pid: object) -> bool:
    if not isinstance(pid, int) or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, and belongs to somebody else
        return False
    return False


def _held(holder: dict[str, Any] | None, where: str) -> str:
    if not holder:
        return f"{where} is held by somebody unknown; try again in a few minutes"
    since = datetime.fromtimestamp(float(holder["at"]), UTC).isoformat(timespec="seconds")
    return (
        f"{where} is held by {holder.get('owner')} (process {holder.get('pid')}) since {since}; "
        f"wait for it, or try again: it counts as left behind after {STALE_SECONDS:.0f} seconds"
    )


#: Everything that publishing keeps for itself; a dotfile is never servable.
HIDDEN = ".assetstore/"
CURRENT = HIDDEN + "current.json"

_RECORD_OPTIONS = WriteOptions("application/json", "no-store")


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """One release in the release record."""

    id: str
    published_at: datetime
    #: Who published it: user and host.
    publisher: str
    #: How many assets it has, and the bytes of everything it needs in the target.
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The state of a target: which release is live, and which are kept."""

    current: Manifest
    #: Every kept release, oldest first.
    releases: tuple[ReleaseSummary, ...]
    #: Names that a prune is about to delete, or was when it broke off.
    pending_deletes: frozenset[str] = frozenset()
    #: The stored form that was read (its validator, SHA-256), to notice that somebody moved it meanwhile.
    stat: FileStat | None = field(default=None, compare=False)
    sha256: str = field(default="", compare=False)


class Releases:
    """Reads and writes the releases of one target."""

    def __init__(self, target: WritableBackend) -> None:
        self._target = target

    def read(self) -> ReleaseState | None:
        """What the target remembers; ``None`` where nothing was ever published.

        Raises:
            ManifestError: something stands there that is not ours, or is of a newer format.
        """
        try:
            opened = self._target.open(CURRENT)
        except AssetNotFound:
            return None
        try:
            data = b"".join(opened.chunks(0, opened.stat.size))
            return _from_bytes(data, opened.stat, f"{CURRENT} in {self._target.label}")
        finally:
            opened.close()

    def require(self) -> ReleaseState:
        """What the target remembers.

        Raises:
            PublishError: nothing was ever published there.
        """
        state = self.read()
        if state is None:
            raise PublishError(f"nothing was ever published to {self._target.label}; run 'assetstore publish' first")
        return state

    def manifest(self, release: str) -> Manifest:
        """The manifest of one release.

        Raises:
            ManifestError: it is missing or damaged.
        """
        path = manifest_path(release)
        try:
            data = read_bytes(self._target, path)
        except AssetNotFound:
            raise ManifestError(f"{path} is missing in {self._target.label}; that release cannot be used") from None
        return manifests.load(data, f"{path} in {self._target.label}")

    def save(self, manifest: Manifest) -> None:
        """Write the manifest of a new release, under a name that nobody else may take.

        Raises:
            PublishConflict: another release of that id exists.
        """
        data = manifests.dump(manifest)
        path = manifest_path(manifest.release)
        try:
            self._target.write(path, BytesFile.of(path, data), replace(_RECORD_OPTIONS, create_only=True))
        except PublishConflict:
            # A run that was killed just after it wrote this very manifest is being finished.
            if read_bytes(self._target, path) != data:
                raise

    def forget(self, release: str) -> None:
        """Remove the manifest of a release that is kept no longer."""
        self._target.delete(manifest_path(release))

    def move(self, seen: ReleaseState | None, state: ReleaseState) -> None:
        """Make *state* the state of the target, if it is still the one that was *seen*.

        Raises:
            PublishConflict: somebody else moved it meanwhile; nothing was changed.
        """
        data = _to_bytes(state)
        try:
            if self._in_one_step(seen):
                self._write_if(seen, data)
            else:
                self._move_locked(seen, data)
        except PublishConflict as error:
            raise PublishConflict(
                f"somebody else changed the live release in {self._target.label} meanwhile ({error}); "
                "the live site is whole; run the same command again to start from what is there now"
            ) from error

    def _in_one_step(self, seen: ReleaseState | None) -> bool:
        """Whether the target itself refuses a write over another version than *seen*."""
        if isinstance(self._target, LearnsConditions):
            proven = self._target.conditional_creates if seen is None else self._target.conditional_replaces
            return proven is True
        return seen is None or (seen.stat is not None and seen.stat.validator is not None)

    def _move_locked(self, seen: ReleaseState | None, data: bytes) -> None:
        with Lock(self._target, HIDDEN + "lock.json"):
            now = self.read()
            if (None if now is None else now.sha256) != (None if seen is None else seen.sha256):
                raise PublishConflict(f"{CURRENT} is not what it was")
            self._write_if(now, data)

    def _write_if(self, seen: ReleaseState | None, data: bytes) -> None:
        validator = None if seen is None or seen.stat is None else seen.stat.validator
        options = replace(_RECORD_OPTIONS, create_only=seen is None, if_validator=validator)
        self._target.write(CURRENT, BytesFile.of(CURRENT, data), options)


def manifest_path(release: str) -> str:
    """Where the manifest of *release* stands below its target."""
    return f"{HIDDEN}manifests/{release}.json"


def note(manifest: Manifest, publisher: str) -> ReleaseSummary:
    """How the release record lists *manifest*."""
    size = sum(each.size for each in manifest.objects())
    return ReleaseSummary(manifest.release, manifest.published_at, publisher, len(manifest.entries), size)


def _to_bytes(state: ReleaseState) -> bytes:
    releases = [
        [each.id, each.published_at.isoformat(), each.publisher, each.files, each.size] for each in state.releases
    ]
    return manifests.dump(state.current, {"releases": releases, "pending_deletes": sorted(state.pending_deletes)})


def _from_bytes(data: bytes, stat: FileStat, where: str) -> ReleaseState:
    found = manifests.document(data, where)
    try:
        releases = tuple(_read_note(*each) for each in found["releases"])
        pending_deletes = frozenset(found["pending_deletes"])
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{where} is damaged ({error!r}); restore it from one of the manifests beside it") from None
    return ReleaseState(
        manifests.from_document(found, where), releases, pending_deletes, stat, sha256(data).hexdigest()
    )


def _read_note(release: str, published_at: str, publisher: str, files: int, size: int) -> ReleaseSummary:
    return ReleaseSummary(release, manifests.instant(published_at), publisher, int(files), int(size))
