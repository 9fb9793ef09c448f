"""The subjects that are measured: the command of each, and the URL it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import servers
from benchmarks.works import Work, bare_path

OURS, UNREMEMBERED, UNCACHED, ROUTED, COMMAND = (
    "assetstore",
    "assetstore, memory off",
    "assetstore, first request",
    "assetstore as routes",
    "assetstore serve",
)
BARE, PATHSEND, ENDPOINT = "bare callable", "bare pathsend", "Starlette endpoint"
BARE_RSGI = "bare RSGI callable"
STARLETTE, LITESTAR, SERVESTATIC = "Starlette StaticFiles", "Litestar", "ServeStatic"
AIOHTTP, WHITENOISE, NGINX = "aiohttp", "WhiteNoise (WSGI)", "nginx"

_NO_MEMORY = {"ASSETS_MEMORY_BYTES": "0"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that can be started, and what it is asked for at a work."""

    command: list[str]
    port: int
    #: The path for a work, given what assetstore calls the asset.
    path: Callable[[Work, str], str]
    environment: Mapping[str, str] = field(default_factory=dict)


def subject(name: str, server: str, root: Path, scratch: Path) -> Subject | None:
    """The subject called *name*, on *server* where it has a choice; ``None`` if it is not installed."""
    port = servers.free_port()
    if name == NGINX:
        command = servers.nginx(root, scratch, port)
        return None if command is None else Subject(command, port, _plain)
    if name == AIOHTTP:
        return Subject(servers.program("benchmarks.apps.aiohttp_static", port), port, _plain)
    if name == WHITENOISE:
        return Subject(servers.granian("benchmarks.apps.white_noise:app", port, "wsgi"), port, _plain)
    if name == BARE_RSGI:
        return Subject(servers.granian("benchmarks.apps.bare:rsgi", port, "rsgi"), port, bare_path)
    if name == COMMAND:
        return Subject(servers.serve(root, port), port, _fingerprinted)
    application, path, environment = _APPLICATIONS[name]
    start = servers.uvicorn if server == "uvicorn" else servers.granian
    return Subject(start(f"benchmarks.apps.{application}", port), port, path, environment)


def _fingerprinted(work: Work, url: str) -> str:
    return url


def _plain(work: Work, url: str) -> str:
    return work.plain_url


_APPLICATIONS: Mapping[str, tuple[str, Callable[[Work, str], str], Mapping[str, str]]] = {
    OURS: ("ours:wrapped", _fingerprinted, {}),
    UNREMEMBERED: ("ours:wrapped", _fingerprinted, _NO_MEMORY),
    UNCACHED: ("ours:uncached", _fingerprinted, {}),
    ROUTED: ("ours:routed", _fingerprinted, {}),
    BARE: ("bare:app", bare_path, {}),
    PATHSEND: ("bare:pathsend", bare_path, {}),
    ENDPOINT: ("bare:starlette", bare_path, {}),
    STARLETTE: ("starlette_static:app", _plain, {}),
    LITESTAR: ("litestar_static:app", _plain, {}),
    SERVESTATIC: ("serve_static:app", _plain, {}),
}
