"""Where a mount's URLs point, and at which paths the origin answers for it.

Origin or CDN is a value, taken from the setting once: a :class:`MountUrl` has a base that is
only ever joined to. A path gives path-only URLs, which no ``Host`` header and no TLS proxy can
turn into another scheme; a full URL gives absolute ones, while the origin still answers at the
URL's own path (what a CDN in origin-pull requests) and at ``origin_path``.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from assetstore.errors import SettingsError

#: Where the origin answers too, when a mount's URL is a full one.
ORIGIN_PATH = "/assets/"

# What a path segment may hold without percent-encoding (RFC 3986 section 3.3), quotes left out.
_PREFIX = re.compile(r"[A-Za-z0-9._~!$&()*+,;=:@/-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class MountUrl:
    """Where the URLs of one mount point, and where the origin answers for it."""

    #: What stands before an asset's path in a URL; always ends in ``/``.
    base: str
    #: The path on this server; always begins and ends with ``/``.
    origin: str
    #: Every path prefix at which this server answers, longest first.
    prefixes: tuple[str, ...]
    #: The only host on which the mount answers, in lower case; ``None`` for all.
    host: str | None = None

    @property
    def absolute(self) -> bool:
        """Whether the URLs name a host, so that a server's root path has no place in them."""
        return not self.base.startswith("/") or self.base.startswith("//")

    @property
    def cross_origin(self) -> bool:
        """Whether the URLs point at a CDN, another origin than the pages'."""
        return "://" in self.base

    def join(self, url_path: str, root_path: str = "") -> str:
        """The URL of a percent-encoded path, below *root_path* where the URL names no host."""
        return self.base + url_path if not root_path or self.absolute else root_path.rstrip("/") + self.base + url_path

    def join_origin(self, url_path: str, root_path: str = "") -> str:
        """The same, at the path where this very server answers."""
        return root_path.rstrip("/") + self.origin + url_path

    @classmethod
    def parse(cls, url: str, *, host: str | None = None, origin_path: str = ORIGIN_PATH) -> MountUrl:
        """Read the ``url`` of a mount: a path prefix, or a full URL.

        Raises:
            SettingsError: *url*, *host* or *origin_path* is malformed; the message shows a good one.
        """
        if not isinstance(url, str) or not url.strip():
            raise SettingsError(f"url={url!r} is empty; give a path such as '/assets/' or 'https://cdn.example.com/'")
        if "://" in url or url.startswith("//"):
            return cls._full(url, host, origin_path)
        prefix = path_prefix(url, "url")
        if host is None:
            return cls(base=prefix, origin=prefix, prefixes=(prefix,))
        host = checked_host(host)
        return cls(base=f"//{host}{prefix}", origin=prefix, prefixes=(prefix,), host=host)

    @classmethod
    def _full(cls, url: str, host: str | None, origin_path: str) -> MountUrl:
        if host is not None:
            raise SettingsError(f"url={url!r} names a host already; leave out host={host!r}")
        parts = _split_full(url)
        pulled = path_prefix(parts.path or "/", "url")
        origin = path_prefix(origin_path, "origin_path")
        prefixes = sorted({pulled, origin}, key=lambda prefix: (-len(prefix), prefix != pulled))
        return cls(base=f"{parts.scheme}://{parts.netloc}{pulled}", origin=origin, prefixes=tuple(prefixes))


def _split_full(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        netloc = parts.netloc
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"url={url!r} is no URL ({error}); a good one is 'https://cdn.example.com/'") from None
    if parts.scheme not in {"http", "https"}:
        raise SettingsError(f"url={url!r} must begin with https:// or http://, as 'https://cdn.example.com/'")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise SettingsError(f"url={url!r} has a query or fragment; give only host and path, 'https://cdn.example.com/'")
    if not _HOST.fullmatch(netloc):
        raise SettingsError(f"url={url!r} has no good host; a good one is 'https://cdn.example.com/'")
    return parts


def path_prefix(path: str, setting: str) -> str:
    """Normalise a URL path prefix: one slash before, one behind.

    Raises:
        SettingsError: it has empty or dot segments, or characters that a URL would have to encode.
    """
    inner = path.strip("/") if isinstance(path, str) else None
    if inner == "":
        return "/"
    if inner is None or not _PREFIX.fullmatch(inner):
        raise SettingsError(f"{setting}={path!r} holds a character that no path prefix may; a good one is '/assets/'")
    if any(segment in {"", ".", ".."} for segment in inner.split("/")):
        raise SettingsError(f"{setting}={path!r} has an empty or dot segment; a good one is '/assets/'")
    return f"/{inner}/"


def checked_host(host: str) -> str:
    """A host name with an optional port, in lower case.

    Raises:
        SettingsError: *host* is no host.
    """
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise SettingsError(f"host={host!r} is no host name; a good one is 'static.example.com'")
    return host.lower()


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
