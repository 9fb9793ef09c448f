"""This module owns whether mounts can answer, as a value: what was last seen of each one's storage.

Nothing here crosses a network. Reading and listing leave behind how they ended; the later of the
two is the storage's last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from assetstore.backends.base import Backend
from assetstore.backends.cached.counters import Contact, Counts
from assetstore.errors import AssetStoreError, BackendCredentials, BackendForbidden
from assetstore.index import IndexResolver
from assetstore.mounts import Mount


class State(Enum):
    """What a mount can do."""

    #: It has files, or its storage answered.
    READY = "ready"
    #: Its storage answered, and holds no file.
    EMPTY = "empty"
    #: Its storage was not asked for anything yet.
    UNKNOWN = "unknown"
    #: Its storage does not answer.
    UNREACHABLE = "unreachable"
    #: Its storage refuses: credentials, or policy.
    REFUSED = "refused"


_GOOD = {State.READY, State.EMPTY, State.UNKNOWN}


@dataclass(frozen=True, slots=True)
class MountHealth:
    """What is known of one mount."""

    #: The mount's name; its URL if it has none.
    name: str
    state: State
    #: What was counted; ``None`` for local files, which nothing stands before.
    counts: Counts | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing speaks against sending it requests."""
        return self.state in _GOOD

    @classmethod
    def of(cls, mount: Mount) -> MountHealth:
        """What is known of *mount* now."""
        name = mount.name or mount.url.base
        if mount.remote is None:
            return cls(name, _state_of_local(mount.backend))
        return cls(name, _state_of_remote(mount), mount.remote.counters.counts())


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of all mounts."""

    mounts: tuple[MountHealth, ...]

    @property
    def ready(self) -> bool:
        """Whether every mount is."""
        return all(mount.ready for mount in self.mounts)

    @classmethod
    def of(cls, mounts: Iterable[Mount]) -> Health:
        """What is known of *mounts* now."""
        return cls(tuple(MountHealth.of(mount) for mount in mounts))


def last_contact(mount: Mount) -> Contact | None:
    """The storage's last word on a remote *mount*; ``None`` if there was none yet."""
    read = None if mount.remote is None else mount.remote.counters.contact
    return _later(read, mount.resolver.contact if isinstance(mount.resolver, IndexResolver) else None)


def _state_of_remote(mount: Mount) -> State:
    contact = last_contact(mount)
    if contact is None:
        return State.UNKNOWN
    if contact.fault is not None:
        refused = isinstance(contact.fault, BackendForbidden | BackendCredentials)
        return State.REFUSED if refused else State.UNREACHABLE
    index = mount.resolver
    empty = isinstance(index, IndexResolver) and index.knows("") and len(index) == 0
    return State.EMPTY if empty else State.READY


def _state_of_local(backend: Backend) -> State:
    try:
        return State.EMPTY if next(iter(backend.walk()), None) is None else State.READY
    except AssetStoreError:
        return State.UNREACHABLE


def _later(one: Contact | None, other: Contact | None) -> Contact | None:
    if one is None or other is None:
        return one or other
    return one if one.at > other.at else other
