"""Health of mounts and Prometheus text, as values and as Starlette routes.

The values cross no network: they are made of how the last reads and listings of each storage
ended. The health route also sends a request to a storage that had no other request lately.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assetstore.backends.base import Backend
from assetstore.backends.remote.retry import Counts
from assetstore.errors import AssetStoreError, BackendCredentials, BackendForbidden, BackendTimeout, UnexpectedResponse
from assetstore.mounts.mount import Mount
from assetstore.names.base import BackgroundResolver
from assetstore.util.background import Contact, failing


class MountState(Enum):
    """Whether a mount can serve its files."""

    #: It has files, or its storage answers.
    READY = "ready"
    #: Its storage answers, and has no file.
    EMPTY = "empty"
    #: No request was sent to its storage yet.
    UNKNOWN = "unknown"
    #: Its storage does not answer.
    UNREACHABLE = "unreachable"
    #: Its storage refuses: credentials or policy; or what answers in its place is no storage.
    REFUSED = "refused"


_GOOD = {MountState.READY, MountState.EMPTY, MountState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class MountHealth:
    """The health of one mount."""

    #: The mount's name; its URL if it has none.
    name: str
    state: MountState
    #: Counters of a remote mount; ``None`` for local files.
    counts: Counts | None = None

    @property
    def ready(self) -> bool:
        """Whether requests should be sent to it."""
        return self.state in _GOOD

    @classmethod
    def of(cls, mount: Mount) -> MountHealth:
        """The health of *mount* now."""
        name = mount.name or mount.url.base
        if mount.remote is None:
            return cls(name, _state_of_local(mount.backend))
        return cls(name, _state_of_remote(mount), mount.remote.counters.counts())


@dataclass(frozen=True, slots=True)
class Health:
    """The health of all mounts."""

    mounts: tuple[MountHealth, ...]
    #: Threads of this process that keep failing at something else than storage, by name, with the class of the error;
    #: what they make (digests, rewritten files, names) stays as it was. The log has the traceback.
    failing: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether every mount is."""
        return all(mount.ready for mount in self.mounts)

    @classmethod
    def of(cls, mounts: Iterable[Mount]) -> Health:
        """The health of *mounts* now."""
        return cls(tuple(MountHealth.of(mount) for mount in mounts), failing())


def last_contact(mount: Mount) -> Contact | None:
    """Outcome of the last request to the storage of a remote *mount*; ``None`` before the first."""
    read = None if mount.remote is None else mount.remote.counters.contact
    return _later(read, mount.resolver.contact if isinstance(mount.resolver, BackgroundResolver) else None)


def _state_of_remote(mount: Mount) -> MountState:
    contact = last_contact(mount)
    if contact is None:
        return MountState.UNKNOWN
    if contact.fault is not None:
        refused = isinstance(contact.fault, BackendForbidden | BackendCredentials | UnexpectedResponse)
        return MountState.REFUSED if refused else MountState.UNREACHABLE
    empty = isinstance(mount.resolver, BackgroundResolver) and mount.resolver.is_empty
    return MountState.EMPTY if empty else MountState.READY


def _state_of_local(backend: Backend) -> MountState:
    try:
        return MountState.EMPTY if next(iter(backend.walk()), None) is None else MountState.READY
    except AssetStoreError:
        return MountState.UNREACHABLE


def _later(one: Contact | None, other: Contact | None) -> Contact | None:
    if one is None or other is None:
        return one or other
    return one if one.at > other.at else other


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Labels and value of one line.
Sample = tuple[dict[str, str], float]


def prometheus_text(health: Health) -> str:
    """Metrics in the Prometheus text format 0.0.4."""
    counted = [(mount.name, mount.counts) for mount in health.mounts if mount.counts is not None]
    families = [
        _family(
            "assetstore_mount_ready",
            "gauge",
            "Whether the mount can answer.",
            (({"mount": mount.name, "state": mount.state.value}, float(mount.ready)) for mount in health.mounts),
        ),
        _family(
            "assetstore_threads_failing",
            "gauge",
            "Background threads that keep failing at something else than storage; the log has the traceback.",
            [({}, float(len(health.failing)))],
        ),
        _family(
            "assetstore_answers_total",
            "counter",
            "How remote reads were answered; hits of the response cache are not counted here.",
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
            "Errors of the storage; a missing file is none.",
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
        lines.append(f"{name}{{{spelled}}} {value:.15g}" if spelled else f"{name} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


#: A storage that answered so recently is not probed, and how long a probe may take, in seconds.
RECENT_SECONDS, PATIENCE_SECONDS = 5.0, 1.0
#: Requested where no file is known yet; that it is missing shows that the storage answers.
PROBE = "assetstore-probe.css"

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
        """The state of each mount. Storage without a recent success is probed first.

        Otherwise a server that gets no requests, since its storage failed once, would never become
        ready again; and one that has no requests would never report that its storage hangs.
        """
        await asyncio.gather(*map(_probe, self._mounts))
        found = await to_thread.run_sync(Health.of, self._mounts)
        states = {mount.name: mount.state.value for mount in found.mounts}
        answer: dict[str, Any] = {"ready": found.ready, "mounts": states}
        if found.failing:
            answer["failing"] = dict(found.failing)
        return JSONResponse(answer, 200 if found.ready else 503, _NO_STORE)

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
                await mount.remote.direct.probe(PROBE)
    except TimeoutError:
        if last_contact(mount) is contact:  # no other request has ended meanwhile
            silence = BackendTimeout(f"{mount.backend.label} said nothing for {PATIENCE_SECONDS:g} s", path=PROBE)
            mount.remote.counters.contact = Contact(time.monotonic(), silence)
