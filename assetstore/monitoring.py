"""This module owns whether mounts can answer, as a value: what was last seen of each one's storage.

Nothing here crosses a network. Reading and listing leave behind how they ended; the later of the
two is the storage's last word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assetstore.backends.base import Backend
from assetstore.backends.remote.counters import Counts
from assetstore.errors import AssetStoreError, BackendCredentials, BackendForbidden, BackendTimeout
from assetstore.mounts.mount import Mount
from assetstore.names.listing import IndexResolver
from assetstore.util.background import Contact


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


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Labels and value of one line.
Sample = tuple[dict[str, str], float]


def prometheus_text(health: Health) -> str:
    """Everything that was counted, one family of lines after the other."""
    counted = [(mount.name, mount.counts) for mount in health.mounts if mount.counts is not None]
    families = [
        _family(
            "assetstore_mount_ready",
            "gauge",
            "Whether the mount can answer.",
            (({"mount": mount.name, "state": mount.state.value}, float(mount.ready)) for mount in health.mounts),
        ),
        _family(
            "assetstore_answers_total",
            "counter",
            "How remote reads were answered; what the memory of whole answers gave is not among them.",
            _each(counted, _answers),
        ),
        _family(
            "assetstore_storage_requests_total",
            "counter",
            "Requests to the storage, every attempt counted.",
            _each(counted, lambda counts: [({}, counts.requests)]),
        ),
        _family(
            "assetstore_storage_seconds_total",
            "counter",
            "Seconds that these requests took until their first bytes.",
            _each(counted, lambda counts: [({}, counts.seconds)]),
        ),
        _family(
            "assetstore_storage_errors_total",
            "counter",
            "Faults of the storage; a missing file is none.",
            _each(counted, lambda counts: [({"error": name}, times) for name, times in sorted(counts.errors.items())]),
        ),
    ]
    return "".join(families)


def _answers(counts: Counts) -> list[Sample]:
    outcomes = {"hit": counts.hits, "miss": counts.misses, "coalesced": counts.coalesced, "stale": counts.stale}
    return [({"outcome": outcome}, times) for outcome, times in outcomes.items()]


def _each(counted: Iterable[tuple[str, Counts]], samples: Callable[[Counts], Iterable[Sample]]) -> Iterator[Sample]:
    for name, counts in counted:
        for labels, value in samples(counts):
            yield {"mount": name, **labels}, value


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        spelled = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{spelled}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


#: A storage that spoke so recently is not asked again, and how long it has to answer.
RECENT_SECONDS, PATIENCE_SECONDS = 5.0, 1.0
#: A file that nobody has; that it is missing is answer enough.
PROBE = "assetstore-probe"

_NO_STORE = {"cache-control": "no-store"}


def status_routes(mounts: Iterable[Mount], health: str, metrics: str) -> list[BaseRoute]:
    """Routes at those two paths; an empty path is none."""
    status = _Status(mounts)
    answers = {health: status.health, metrics: status.metrics}
    return [Route(path, answer, include_in_schema=False) for path, answer in answers.items() if path]


class _Status:
    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._mounts = mounts

    async def health(self, request: Request) -> Response:
        """The state of each mount. Storage that was not heard of lately is asked first.

        Without that a server which is sent no requests, since its storage failed once, would never
        learn that the storage is back; nor that a storage hangs which nobody else asks for anything.
        """
        await asyncio.gather(*map(_probe, self._mounts))
        found = await to_thread.run_sync(Health.of, self._mounts)
        states = {mount.name: mount.state.value for mount in found.mounts}
        return JSONResponse({"ready": found.ready, "mounts": states}, 200 if found.ready else 503, _NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """The counters as text."""
        text = prometheus_text(await to_thread.run_sync(Health.of, self._mounts))
        return Response(text, headers={"content-type": CONTENT_TYPE, **_NO_STORE})


async def _probe(mount: Mount) -> None:
    contact = last_contact(mount)
    recent = contact is not None and contact.fault is None and time.monotonic() - contact.at < RECENT_SECONDS
    if mount.remote is None or recent:
        return
    try:
        with suppress(AssetStoreError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await mount.remote.direct.stat(PROBE)
    except TimeoutError:
        if last_contact(mount) is contact:  # nobody else has heard of it meanwhile
            silence = BackendTimeout(f"{mount.backend.label} said nothing for {PATIENCE_SECONDS:g} s", path=PROBE)
            mount.remote.counters.contact = Contact(time.monotonic(), silence)
