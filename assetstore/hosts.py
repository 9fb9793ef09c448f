"""This module owns which host an asset's URL names, where a mount spreads over some or decides by request.

A host is an origin without a path: ``https://cdn.example.com``. One is the plain case; of a list
each file has one by its name, the same on every machine, so no cache holds it twice; a callable
gets the request (``None`` where there is none) and gives a host, or ``""`` for the page's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from assetstore.errors import SettingsError

#: What ``asset_host=`` of a mount may be.
HostChoice = str | Sequence[str] | Callable[[object | None], str | None]

_GOOD = "a good value is 'https://cdn.example.com', a list of such, or a callable that gets the request"


class Hosts(Protocol):
    """Gives the host for an asset."""

    def of(self, path: str, request: object | None) -> str:
        """The origin for logical *path*; ``""`` to name none."""

    def key(self, request: object | None) -> object:
        """What the answers for *request* depend on: equal keys give equal hosts for every path."""


class NoHost:
    """URLs name no host but the mount's own."""

    def of(self, path: str, request: object | None) -> str:
        return ""

    def key(self, request: object | None) -> object:
        return None


NO_HOST = NoHost()


class SpreadHosts:
    """Each path has one of some hosts, by a hash that no machine and no restart changes."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = tuple(origins)

    def of(self, path: str, request: object | None) -> str:
        return self._origins[zlib.crc32(path.encode()) % len(self._origins)]

    def key(self, request: object | None) -> object:
        return None


class ChosenHost:
    """The application's own callable decides by request."""

    def __init__(self, choose: Callable[[object | None], str | None]) -> None:
        self._choose = choose

    def of(self, path: str, request: object | None) -> str:
        chosen = self._choose(request)
        return origin(chosen) if chosen else ""

    def key(self, request: object | None) -> object:
        return self.of("", request)


def hosts(choice: HostChoice | None) -> Hosts:
    """Read ``asset_host=``.

    Raises:
        SettingsError: it is none of the accepted values, or a host is malformed.
    """
    if choice is None:
        return NO_HOST
    if isinstance(choice, str):
        return SpreadHosts([origin(choice)])
    if callable(choice):
        return ChosenHost(choice)
    if isinstance(choice, Sequence) and choice:
        return SpreadHosts([origin(each) for each in choice])
    raise SettingsError(f"asset_host={choice!r} is no host; {_GOOD}")


def origin(host: object) -> str:
    """*host* as an origin without a closing slash; ``//host`` keeps the page's scheme.

    Raises:
        SettingsError: it has a path, no host, or another scheme than http and https.
    """
    text = host.rstrip("/") if isinstance(host, str) else ""
    try:
        parts = urlsplit(text)
        faulty = not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc
        faulty = faulty or parts.scheme not in {"", "http", "https"} or (parts.port is not None and parts.port < 1)
    except ValueError:
        faulty = True
    if faulty or not text.isascii() or any(each in text for each in " <>\"'\\`"):
        raise SettingsError(f"asset_host={host!r} is no origin; {_GOOD}, without a path")
    return text
