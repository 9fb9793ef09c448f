"""The release record of a target, the switch of the live release, and the lock for targets that cannot switch in one step.

Below the target, under a prefix that is never served, there is one manifest for each release (written
once) and ``current.json``: the live release's manifest, followed by the list of kept releases. Reading
the record is therefore one read, and switching is one conditional write.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from assetstore.backends.base import (
    BytesFile,
    FileStat,
    LearnsConditions,
    OpenFile,
    WritableBackend,
    WriteOptions,
    read_bytes,
)
from assetstore.errors import AssetNotFound, AssetStoreError, BackendError, ManifestError, PublishConflict, PublishError
from assetstore.names import manifest as manifests
from assetstore.names.manifest import Manifest

#: Everything that publishing keeps for itself; a name with a leading dot is never servable.
HIDDEN = ".assetstore/"
CURRENT = HIDDEN + "current.json"
LOCK = HIDDEN + "lock.json"

_JSON = WriteOptions("application/json", "no-store")
_NEW_JSON = replace(_JSON, create_only=True)


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
class Conditions:
    """Which conditional writes a target has: proven by a refused write, never by one that succeeded."""

    #: Which store this was found out of; a copy of the record in another store proves nothing.
    store: str
    #: ``If-None-Match: *``, and ``If-Match``.
    creates: bool
    replaces: bool


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


class SpooledFile:
    """A text of many lines in a temporary file, as what will be written; an :class:`OpenFile`.

    The manifest of 50,000 assets has 50 MB.
    """

    def __init__(self, path: str, lines: Iterable[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        digest, size = hashlib.sha256(), 0
        for line in lines:
            digest.update(line)
            size += self._file.write(line)
        self.stat = FileStat(path, size)
        self.sha256 = digest.hexdigest()

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """As :meth:`OpenFile.chunks`."""
        while start < stop:
            self._file.seek(start)
            chunk = self._file.read(min(256 * 1024, stop - start))
            start += len(chunk)
            yield chunk

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    def __enter__(self) -> SpooledFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def digest_of_bytes(target: WritableBackend, path: str) -> str:
    """SHA-256 of the bytes of the object *path*, read anew.

    Raises:
        AssetNotFound, BackendError: as ``open``.
    """
    digest = hashlib.sha256()
    opened = target.open(path)
    try:
        for chunk in opened.chunks(0, opened.stat.size):
            digest.update(chunk)
    finally:
        opened.close()
    return digest.hexdigest()


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
            opened = self._target.open(CURRENT)
        except AssetNotFound:
            return None
        try:
            state = _read_state(opened, f"{CURRENT} in {self._target.label}")
        finally:
            opened.close()
        apply_conditions(self._target, state.conditions)
        return state

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
                self._target.write(path, source, replace(_NEW_JSON, sha256=source.sha256))
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
        now = self.read()
        if (None if now is None else now.sha256) != (None if seen is None else seen.sha256):
            raise PublishConflict(f"{CURRENT} is not what it was")
        lock.require()
        self._write_if(now, source)

    def _write_if(self, seen: ReleaseState | None, source: SpooledFile) -> None:
        validator = None if seen is None or seen.stat is None else seen.stat.validator
        options = replace(_JSON, create_only=seen is None, if_validator=validator, sha256=source.sha256)
        self._target.write(CURRENT, source, options)


def in_one_step(target: WritableBackend, seen: ReleaseState | None) -> bool:
    """Whether the target itself refuses to write the record over another version than *seen*."""
    if isinstance(target, LearnsConditions):
        return (target.conditional_creates if seen is None else target.conditional_replaces) is True
    return seen is None or (seen.stat is not None and seen.stat.validator is not None)


def manifest_path(release: str) -> str:
    """The name of the manifest of *release* below its target."""
    return f"{HIDDEN}manifests/{release}.json"


def summary(manifest: Manifest, note: str = "") -> ReleaseSummary:
    """*manifest* as the release record lists it."""
    size = sum(each.size for each in manifest.objects())
    return ReleaseSummary(manifest.release, manifest.published_at, note, len(manifest.entries), size)


# --- conditional writes


def store_of(target: WritableBackend) -> str:
    """A short digest of which store *target* is in."""
    endpoint = getattr(getattr(target, "options", None), "endpoint_url", None) or ""
    return hashlib.sha256(f"{endpoint}|{target.label}".encode()).hexdigest()[:16]


def conditions_of(target: WritableBackend) -> Conditions | None:
    """What is known of the conditional writes of *target*; ``None`` where it has no need to find out."""
    if not isinstance(target, LearnsConditions):
        return None
    creates, replaces = target.conditional_creates, target.conditional_replaces
    if creates is None or replaces is None:
        return None
    return Conditions(store_of(target), creates, replaces)


def apply_conditions(target: WritableBackend, found: Conditions | None) -> None:
    """Take over what the record of *target* says of its conditional writes, where it is of this very store."""
    if found is None or found.store != store_of(target) or not isinstance(target, LearnsConditions):
        return
    if target.conditional_creates is None:
        target.conditional_creates = found.creates
    if target.conditional_replaces is None:
        target.conditional_replaces = found.replaces


def probe_conditions(target: WritableBackend, path: str, data: bytes) -> None:
    """Find out which conditional writes *target* has, where that is not known.

    The object *path* exists and holds *data*: writing the same bytes under a condition that is false must
    be refused. A store that accepts ignores the condition, and stores what it had.
    """
    if not isinstance(target, LearnsConditions):
        return
    if target.conditional_creates is None:
        target.conditional_creates = _refuses(target, path, data, _NEW_JSON)
    if target.conditional_replaces is None:
        options = replace(_JSON, if_validator="0123456789abcdef0123456789abcdef")
        target.conditional_replaces = _refuses(target, path, data, options)


def _refuses(target: LearnsConditions, path: str, data: bytes, options: WriteOptions) -> bool:
    assert isinstance(target, WritableBackend)
    try:
        target.write(path, BytesFile.of(path, data), options)
    except PublishConflict:
        # A target that looks before it writes has found out by now that the store has no condition.
        known = target.conditional_creates if options.create_only else target.conditional_replaces
        return known is not False
    return False


# --- the lock

#: A lock whose content did not change for so long, as seen by the clock of who waits, has no living owner.
LEASE_SECONDS = 15.0
#: How often the owner of a lock rewrites it.
HEARTBEAT_SECONDS = 3.0
#: How long to wait for another owner, and how often to read the lock.
WAIT_SECONDS = 40.0
POLL_SECONDS = 0.1
#: Where a target cannot refuse a second creator, how long after the first one it may still arrive.
SETTLE_SECONDS = 0.3


class Lock:
    """A lease on a target: one object with a token and a counter, which its owner raises until it is released.

    Whether the owner lives is judged by whether the object changes, never by comparing two machines' clocks.

    Raises:
        PublishConflict: on entering, if another owner keeps it for *wait_seconds*.
    """

    def __init__(
        self,
        target: WritableBackend,
        path: str = LOCK,
        *,
        wait_seconds: float | None = None,
        lease_seconds: float | None = None,
        heartbeat_seconds: float | None = None,
    ) -> None:
        self._target = target
        self._path = path
        self._wait_seconds = WAIT_SECONDS if wait_seconds is None else wait_seconds
        self._lease_seconds = LEASE_SECONDS if lease_seconds is None else lease_seconds
        self._heartbeat_seconds = HEARTBEAT_SECONDS if heartbeat_seconds is None else heartbeat_seconds
        self._mine: dict[str, Any] = {"token": secrets.token_hex(16), "process": _process(), "beat": 0}
        self._ended = threading.Event()
        self._lost = False
        self._heartbeat: threading.Thread | None = None
        self._changing = threading.Lock()

    def __enter__(self) -> Lock:
        until = time.monotonic() + self._wait_seconds
        seen, since = self._read(), time.monotonic()
        while not (seen is None and self._taken()):
            found = self._read()
            if found != seen:
                seen, since = found, time.monotonic()
            elif found is not None and (_is_gone(found) or time.monotonic() - since >= self._lease_seconds):
                self._take_over(found)
                seen, since = self._read(), time.monotonic()
            elif time.monotonic() >= until:
                raise PublishConflict(
                    f"{self._path} in {self._target.label} is held by another publish, prune or rollback that is still "
                    f"running; wait for it (a lock that does not change for {self._lease_seconds:.0f} seconds is taken over)"
                )
            else:
                time.sleep(POLL_SECONDS)
        self._heartbeat = threading.Thread(target=self._beat, name="assetstore-lease", daemon=True)
        self._heartbeat.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        with self._changing, suppress(AssetStoreError):
            if self._is_mine():
                self._target.delete(self._path)

    def require(self) -> None:
        """Make sure that the lock is still ours.

        Raises:
            PublishConflict: it was taken over, because this process could not renew it in time.
        """
        with self._changing:
            if self._lost or not self._is_mine():
                raise PublishConflict(f"{self._path} in {self._target.label} was taken over by another publisher")

    def _taken(self) -> bool:
        try:
            self._target.write(self._path, self._content(), _NEW_JSON)
        except PublishConflict:
            return self._is_mine()  # the response to an earlier attempt may have been lost
        if isinstance(self._target, LearnsConditions) and not self._target.conditional_creates:
            time.sleep(SETTLE_SECONDS)
        # Where two can create at once, the later one is stored now.
        return self._is_mine()

    def _content(self) -> BytesFile:
        return BytesFile.of(self._path, json.dumps(self._mine).encode())

    def _read(self) -> bytes | None:
        with suppress(AssetNotFound):
            return read_bytes(self._target, self._path)
        return None

    def _is_mine(self) -> bool:
        found = _parsed(self._read())
        return bool(found.get("token") == self._mine["token"])

    def _take_over(self, dead: bytes) -> None:
        """Delete a lock without a living owner. Only who creates the claim on this very content may do so."""
        claim = f"{HIDDEN}claims/{hashlib.sha256(dead).hexdigest()[:16]}.json"
        try:
            self._target.write(claim, BytesFile.of(claim, json.dumps(self._mine).encode()), _NEW_JSON)
        except PublishConflict:
            # Somebody else is taking it over. A claim whose owner died as well ends with its own lease.
            seen = self._stored(claim)
            self._ended.wait(self._lease_seconds)
            if seen is not None and self._stored(claim) == seen and self._read() == dead:
                self._target.delete(claim)
            return
        try:
            if self._read() == dead:
                self._target.delete(self._path)
        finally:
            self._target.delete(claim)

    def _stored(self, path: str) -> bytes | None:
        with suppress(AssetNotFound):
            return read_bytes(self._target, path)
        return None

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_seconds):
            with self._changing, suppress(AssetStoreError):
                if not self._is_mine():
                    self._lost = True
                    return
                self._mine["beat"] = self._mine["beat"] + 1
                self._target.write(self._path, self._content(), _JSON)


@contextmanager
def lock_unless_conditional(target: WritableBackend, seen: ReleaseState | None) -> Iterator[Lock | None]:
    """The lock of *target* where it cannot switch in one step; ``None`` where it can."""
    if in_one_step(target, seen) and (target.remote or isinstance(target, LearnsConditions)):
        yield None
        return
    with Lock(target) as lock:
        yield lock


def _parsed(data: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(data or b"{}")
        return found if isinstance(found, dict) else {}
    return {}


def _process() -> str:
    """This process on this machine, so that another one here can tell that it has ended; readable by nobody else.

    The boot id and the namespace keep two containers with one host name and one process number apart.
    """
    return f"{_machine()}-{os.getpid()}" if _machine() else ""


def _machine() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')} {socket.gethostname()}".encode()).hexdigest()[
            :16
        ]
    except OSError:  # no Linux
        return ""


def _is_gone(lock: bytes) -> bool:
    """Whether the owner of *lock* was a process on this machine that has ended."""
    machine, _, pid = str(_parsed(lock).get("process", "")).partition("-")
    if not machine or machine != _machine() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives, and belongs to another user
        return False
    return False


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
