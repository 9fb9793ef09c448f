"""How two publishers are kept apart: the conditional writes of a target, proven, and a lock where it has none."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from assetstore.backends.base import BytesFile, LearnsConditions, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import AssetNotFound, AssetStoreError, BodyTruncated, PublishConflict, VersionChanged

T = TypeVar("T")

#: Everything that publishing keeps for itself; a name with a leading dot is never servable.
HIDDEN = ".assetstore/"
LOCK = HIDDEN + "lock.json"
#: An object that is only there to be written under conditions that are false.
PROBE = HIDDEN + "probe.json"
_PROBE = BytesFile.of(PROBE, b"{}")

JSON = WriteOptions("application/json", "no-store")
NEW_JSON = replace(JSON, create_only=True)

# --- conditional writes


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which conditional writes a target has: proven by a refused write, never by one that succeeded."""

    #: Which store this was found out of; a copy of the record in another store proves nothing.
    store: str
    #: ``If-None-Match: *``, and ``If-Match``.
    creates: bool
    replaces: bool


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


def probe_conditions(target: WritableBackend) -> None:
    """Find out which conditional writes *target* has, where that is not known.

    An object of ours is written again under a condition that is false, which must be refused. A store that
    accepts ignores the condition, and stores what it had.
    """
    if not isinstance(target, LearnsConditions):
        return
    if target.conditional_creates is None or target.conditional_replaces is None:
        target.write(PROBE, _PROBE, JSON)
    if target.conditional_creates is None:
        target.conditional_creates = _refuses(target, NEW_JSON)
    if target.conditional_replaces is None:
        target.conditional_replaces = _refuses(target, replace(JSON, if_validator="0123456789abcdef0123456789abcdef"))


def _refuses(target: LearnsConditions, options: WriteOptions) -> bool:
    assert isinstance(target, WritableBackend)
    try:
        target.write(PROBE, _PROBE, options)
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
#: How often an object is read again that was written meanwhile.
REREADS = 5


def read_whole(read: Callable[[], T]) -> T:
    """What *read* returns, tried again where the file was written meanwhile.

    A file that is linked to its name changes once more when its temporary name is deleted.
    """
    for _ in range(REREADS):
        with suppress(VersionChanged, BodyTruncated):
            return read()
    return read()


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
            self._target.write(self._path, self._content(), NEW_JSON)
        except PublishConflict:
            return self._is_mine()  # the response to an earlier attempt may have been lost
        if isinstance(self._target, LearnsConditions) and not self._target.conditional_creates:
            time.sleep(SETTLE_SECONDS)
        # Where two can create at once, the later one is stored now.
        return self._is_mine()

    def _content(self) -> BytesFile:
        return BytesFile.of(self._path, json.dumps(self._mine).encode())

    def _read(self) -> bytes | None:
        return self._stored(self._path)

    def _is_mine(self) -> bool:
        found = _parsed(self._read())
        return bool(found.get("token") == self._mine["token"])

    def _take_over(self, dead: bytes) -> None:
        """Delete a lock without a living owner. Only who creates the claim on this very content may do so."""
        claim = f"{HIDDEN}claims/{hashlib.sha256(dead).hexdigest()[:16]}.json"
        try:
            self._target.write(claim, BytesFile.of(claim, json.dumps(self._mine).encode()), NEW_JSON)
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
            return read_whole(lambda: read_bytes(self._target, path))
        return None

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_seconds):
            with self._changing, suppress(AssetStoreError):
                if not self._is_mine():
                    self._lost = True
                    return
                self._mine["beat"] = self._mine["beat"] + 1
                self._target.write(self._path, self._content(), JSON)


def _parsed(data: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(data or b"{}")
        return found if isinstance(found, dict) else {}
    return {}


def _process() -> str:
    """This process on this machine, so that another one here can find out that it has ended; a digest that means nothing elsewhere.

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
