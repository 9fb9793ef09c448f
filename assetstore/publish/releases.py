"""The release record of a target, and the switch of the live release.

Below the target, under a prefix that is never served, there is one manifest for each release (written
once) and ``current.json``: the live release's manifest, followed by the list of kept releases. Reading
the record is therefore one read, and switching is one conditional write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from assetstore.backends.base import (
    FileStat,
    LearnsConditions,
    OpenFile,
    SpooledFile,
    WritableBackend,
    digest_of_bytes,
)
from assetstore.errors import AssetNotFound, AssetStoreError, BackendError, ManifestError, PublishConflict, PublishError
from assetstore.names import manifest as manifests
from assetstore.names.manifest import Manifest
from assetstore.publish.lock import (
    HIDDEN,
    JSON,
    NEW_JSON,
    Conditions,
    Lock,
    apply_conditions,
    conditions_of,
    read_whole,
)

CURRENT = HIDDEN + "current.json"


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """One release in the release record."""

    id: str
    published_at: datetime
    #: What ``publish --note`` said of it, such as a commit id. Readable by whoever can read the bucket.
    note: str
    #: How many assets it has, and the bytes of everything it needs in the target.
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """The state of a target: which release is live, and which are kept."""

    current: Manifest
    #: Every kept release, oldest first.
    releases: tuple[ReleaseSummary, ...]
    #: Names that a prune is about to delete, or was when it was interrupted.
    pending_deletes: frozenset[str] = frozenset()
    #: Ids of the releases that were live one after the other, the live one last. A rollback removes
    #: what it withdraws, so that the one before the last is the last good one.
    history: tuple[str, ...] = ()
    conditions: Conditions | None = field(default=None, compare=False)
    #: The stored form that was read (its validator, SHA-256), to detect that another publisher changed it.
    stat: FileStat | None = field(default=None, compare=False)
    sha256: str = field(default="", compare=False)

    @property
    def previous(self) -> str | None:
        """The release that was live before the live one and is kept; ``None`` where there is none."""
        kept = {each.id for each in self.releases}
        before = [each for each in self.history[:-1] if each in kept and each != self.current.release]
        return before[-1] if before else None


class Releases:
    """Reads and writes the release record of one target."""

    def __init__(self, target: WritableBackend) -> None:
        self._target = target

    def read(self) -> ReleaseState | None:
        """The record; ``None`` where nothing was ever published.

        Raises:
            ManifestError: it is not ours, or of a newer format.
        """
        try:
            state = read_whole(self._read)
        except AssetNotFound:
            return None
        apply_conditions(self._target, state.conditions)
        return state

    def _read(self) -> ReleaseState:
        opened = self._target.open(CURRENT)
        try:
            return _read_state(opened, f"{CURRENT} in {self._target.label}")
        finally:
            opened.close()

    def require(self) -> ReleaseState:
        """The record.

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
            opened = self._target.open(path)
        except AssetNotFound:
            raise ManifestError(f"{path} is missing in {self._target.label}; that release cannot be used") from None
        try:
            return manifests.load(opened.chunks(0, opened.stat.size), f"{path} in {self._target.label}")
        finally:
            opened.close()

    def save(self, manifest: Manifest) -> None:
        """Write the manifest of a new release, under a name that no other publisher may take.

        Raises:
            PublishConflict: another release of that id exists.
        """
        path = manifest_path(manifest.release)
        with SpooledFile(path, manifests.lines(manifest)) as source:
            try:
                self._target.write(path, source, replace(NEW_JSON, sha256=source.sha256))
            except PublishConflict:
                # Written by an earlier run that was killed after it, or by this one, whose response was lost.
                if digest_of_bytes(self._target, path) != source.sha256:
                    raise

    def forget(self, release: str) -> None:
        """Delete the manifest of a release that is not kept."""
        self._target.delete(manifest_path(release))

    def move(self, seen: ReleaseState | None, state: ReleaseState, lock: Lock | None = None) -> None:
        """Make *state* the state of the target, if it is still the one that was *seen*.

        *lock* is one that the caller holds already.

        Raises:
            PublishConflict: another publisher changed it; nothing was changed here.
        """
        state = replace(state, conditions=conditions_of(self._target) or state.conditions)
        with SpooledFile(CURRENT, _lines(state)) as source:
            try:
                if in_one_step(self._target, seen):
                    self._write_if(seen, source)
                elif lock is not None:
                    self._move_locked(lock, seen, source)
                else:
                    with Lock(self._target) as own:
                        self._move_locked(own, seen, source)
            except (PublishConflict, BackendError) as error:
                # The response may have been lost, and a retry then meets our own version: read back.
                with suppress(AssetStoreError):
                    if digest_of_bytes(self._target, CURRENT) == source.sha256:
                        return
                if not isinstance(error, PublishConflict):
                    raise
                raise PublishConflict(
                    f"somebody else changed the live release in {self._target.label} meanwhile ({error}); "
                    "run the same command again to start from what is there now"
                ) from error

    def _move_locked(self, lock: Lock, seen: ReleaseState | None, source: SpooledFile) -> None:
        now = None
        with suppress(AssetNotFound):
            now = digest_of_bytes(self._target, CURRENT)
        if now != (None if seen is None else seen.sha256):
            raise PublishConflict(f"{CURRENT} is not what it was")
        lock.require()
        self._write_if(seen, source)

    def _write_if(self, seen: ReleaseState | None, source: SpooledFile) -> None:
        validator = None if seen is None or seen.stat is None else seen.stat.validator
        options = replace(JSON, create_only=seen is None, if_validator=validator, sha256=source.sha256)
        self._target.write(CURRENT, source, options)


def in_one_step(target: WritableBackend, seen: ReleaseState | None) -> bool:
    """Whether the target itself refuses to write the record over another version than *seen*."""
    if isinstance(target, LearnsConditions):
        return (target.conditional_creates if seen is None else target.conditional_replaces) is True
    return seen is None or (seen.stat is not None and seen.stat.validator is not None)


@contextmanager
def lock_unless_conditional(target: WritableBackend, seen: ReleaseState | None) -> Iterator[Lock | None]:
    """The lock of *target* where it cannot switch in one step; ``None`` where it can."""
    if in_one_step(target, seen) and (target.remote or isinstance(target, LearnsConditions)):
        yield None
        return
    with Lock(target) as lock:
        yield lock


def manifest_path(release: str) -> str:
    """The name of the manifest of *release* below its target."""
    return f"{HIDDEN}manifests/{release}.json"


def summary(manifest: Manifest, note: str = "") -> ReleaseSummary:
    """*manifest* as the release record lists it."""
    size = sum(each.size for each in manifest.objects())
    return ReleaseSummary(manifest.release, manifest.published_at, note, len(manifest.entries), size)


# --- the stored form


def _lines(state: ReleaseState) -> Iterator[bytes]:
    more: dict[str, Any] = {
        "releases": [
            [each.id, each.published_at.isoformat(), each.note, each.files, each.size] for each in state.releases
        ],
        "history": list(state.history),
        "pending_deletes": sorted(state.pending_deletes),
    }
    if (found := state.conditions) is not None:
        more["conditions"] = [found.store, found.creates, found.replaces]
    return manifests.lines(state.current, more)


def _read_state(opened: OpenFile, where: str) -> ReleaseState:
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for chunk in opened.chunks(0, opened.stat.size):
            digest.update(chunk)
            yield chunk

    found = manifests.document(chunks(), where)
    try:
        releases = tuple(_read_summary(*each) for each in found["releases"])
        pending = frozenset(map(str, found["pending_deletes"]))
        history = tuple(map(str, found["history"]))
        conditions = None if "conditions" not in found else _read_conditions(*found["conditions"])
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{where} is damaged ({error!r}); restore it from one of the manifests beside it") from None
    current = manifests.from_document(found, where)
    return ReleaseState(current, releases, pending, history, conditions, opened.stat, digest.hexdigest())


def _read_summary(release: str, published_at: str, note: str, files: int, size: int) -> ReleaseSummary:
    return ReleaseSummary(str(release), manifests.instant(published_at), str(note), int(files), int(size))


def _read_conditions(store: str, creates: bool, replaces: bool) -> Conditions:
    return Conditions(str(store), creates is True, replaces is True)


def next_time(state: ReleaseState | None, now: datetime) -> datetime:
    """*now* in whole seconds, or a second after the latest release if a clock is behind."""
    now = now.astimezone(UTC).replace(microsecond=0)
    latest = max((each.published_at for each in state.releases), default=None) if state else None
    if latest is None or now > latest:
        return now
    return datetime.fromtimestamp(latest.timestamp() + 1, UTC)
