"""Who is compared with whom at which work, and the targets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.frame import Target
from benchmarks.subjects import (
    AIOHTTP,
    BARE,
    BARE_RSGI,
    COMMAND,
    ENDPOINT,
    LITESTAR,
    NGINX,
    OURS,
    PATHSEND,
    ROUTED,
    SERVESTATIC,
    STARLETTE,
    UNCACHED,
    UNREMEMBERED,
    WHITENOISE,
)
from benchmarks.tree import CODINGS

#: As long as it takes to go round several times: files are looked at again after most of a second, so that in
#: a first time round it would be every one of them.
ROUNDABOUT_SECONDS = 2.0
#: So few large files are sent in a second that chance needs more time to even out.
LARGE_SECONDS = 1.0
#: How granian's threads take turns differs from one moment to the next.
THREADED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Contest:
    """Some subjects at one kind of work; the first is what the others are compared with."""

    title: str
    #: Subject and name of the work, by what the table calls it.
    entries: dict[str, tuple[str, str]]
    targets: tuple[Target, ...] = ()
    #: How long one measurement lasts at least.
    seconds: float = 0.0

    @property
    def baseline(self) -> str:
        """What the others are compared with."""
        return next(iter(self.entries))


def contests(server: str) -> list[Contest]:
    """Every comparison on *server*: ``uvicorn`` or ``granian``."""
    return [
        _one_work("2 KB asset, hot", "small", [BARE, OURS, UNREMEMBERED, STARLETTE], _hot(server)),
        _one_work("30 KB asset, hot", "script", [BARE, OURS, UNREMEMBERED, *_peers(server)], _hot(server)),
        _one_work("200 KB image, hot", "photo", [BARE, OURS, UNREMEMBERED], [_least(OURS, BARE, 0.8)]),
        _large(server),
        _one_work("304 on If-None-Match", "unchanged", [BARE, OURS, UNREMEMBERED], [_least(OURS, BARE, 0.9)]),
        _one_work("404", "missing", [BARE, OURS, UNREMEMBERED], [_least(OURS, BARE, 0.9)]),
        _one_work("range 0-1023 of 5 MB", "range", [BARE, OURS, UNREMEMBERED], [_least(OURS, BARE, 0.75)]),
        *(_coded(coding) for coding in CODINGS),
        _rotation(),
        _cold(),
        _one_work("2 KB asset inside Starlette", "small", [ENDPOINT, ROUTED], [_least(ROUTED, ENDPOINT, 1.0)]),
        *([_command()] if server == "granian" else []),
    ]


def _peers(server: str) -> list[str]:
    own_server = [AIOHTTP] if server == "uvicorn" else [WHITENOISE]
    return [STARLETTE, LITESTAR, SERVESTATIC, *own_server, NGINX]


def _one_work(title: str, work: str, subjects: list[str], targets: list[Target]) -> Contest:
    return Contest(title, {subject: (subject, work) for subject in subjects}, tuple(targets))


def _least(subject: str, baseline: str, ratio: float) -> Target:
    return Target(subject, baseline, at_least=ratio)


def _hot(server: str) -> list[Target]:
    times = 14 if server == "uvicorn" else 4
    return [_least(OURS, BARE, 0.9), _least(UNREMEMBERED, BARE, 0.5), _least(OURS, STARLETTE, times)]


def _large(server: str) -> Contest:
    if server == "granian":
        subjects, targets = [PATHSEND, OURS], [_least(OURS, PATHSEND, 0.95)]
    else:
        subjects, targets = [BARE, OURS], [_least(OURS, STARLETTE, 3.5), _least(OURS, NGINX, 0.8)]
    contest = _one_work("5 MB asset", "film", [*subjects, *_peers(server)], targets)
    return replace(contest, seconds=LARGE_SECONDS)


def _coded(coding: str) -> Contest:
    identity = f"identity as large as the {coding}"
    entries = {identity: (OURS, f"same-as-{coding}"), coding: (OURS, f"coded-{coding}")}
    return Contest(f"{coding} of a 30 KB script", entries, (Target(coding, identity, 0.95, 1.05),))


def _rotation() -> Contest:
    entries = {"one hot asset": (OURS, "small"), "10,000 in rotation": (OURS, "many")}
    targets = (_least("10,000 in rotation", "one hot asset", 0.8),)
    return Contest("10,000 different 2 KB assets", entries, targets, seconds=ROUNDABOUT_SECONDS)


def _cold() -> Contest:
    """Each request is the first for its file: nothing is in the cache, and so each name is looked at."""
    targets = [_least(UNCACHED, BARE, 0.4), _least(UNCACHED, STARLETTE, 6)]
    contest = _one_work("2 KB asset, cold (10,000 files)", "cold", [BARE, UNCACHED, STARLETTE], targets)
    return replace(contest, seconds=THREADED_SECONDS)


def _command() -> Contest:
    subjects = [BARE, COMMAND, BARE_RSGI]
    contest = _one_work("2 KB asset, the command-line server", "small", subjects, [_least(COMMAND, BARE, 1.25)])
    return replace(contest, seconds=THREADED_SECONDS)
