"""X-Sendfile and X-Accel-Redirect: the proxy in front sends the file.

nginx and Caddy take ``X-Accel-Redirect``, the URI of a place inside the proxy; Apache and Lighttpd
take ``X-Sendfile``, a path on disk. What each makes of an unusual name was measured with the
programs themselves (nginx 1.22, Caddy 2.6, mod_xsendfile 0.12, Lighttpd 1.4.69): they decode
percent escapes, all but mod_xsendfile, which takes the bytes as they are.

A program that is given a path opens it a moment after the response was decided on, and the file may
have been replaced or written to by then. :func:`may_go_by_path` says which responses may be given so,
to a proxy as to a server (ASGI ``http.response.pathsend``, RSGI ``response_file``).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote_from_bytes

from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import AsyncOpenFile
from assetstore.errors import SettingsError
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response import Response
from assetstore.http.response_headers import Headers
from assetstore.mounts.mount import Mount
from assetstore.settings import Settings

_log = logging.getLogger("assetstore")

#: Flag of a file system that is mounted read-only (``statvfs(3)``); absent on Windows.
_READ_ONLY = getattr(os, "ST_RDONLY", 0)


def may_go_by_path(headers: Headers, real_path: str, *, named: bool) -> bool:
    """Whether a response with these *headers* may be sent by a program that opens *real_path* by itself.

    What is immutable may be only where no other bytes can stand there when the program opens the file: on a
    file system that is mounted read-only, or under a stored name with the fingerprint of its bytes, as a
    publish writes them. Any other file can be replaced or written to in the millisecond between.

    Args:
        headers: of the 200.
        real_path: where the file is on this machine.
        named: whether the file is stored under the fingerprinted name of the URL.
    """
    if named or not is_immutable(headers):
        return True
    try:
        return bool(_READ_ONLY and os.statvfs(real_path).f_flag & _READ_ONLY)
    except OSError:
        return False


def is_immutable(headers: Headers) -> bool:
    """Whether these headers promise that the bytes never change (RFC 8246)."""
    return any(name == b"cache-control" and b"immutable" in value for name, value in headers)


@lru_cache(maxsize=64)
def _tell_streamed(directory: str) -> None:
    """Say once for each mount why the proxy does not send its immutable files."""
    _log.info(
        "immutable files in %s are sent by the application and not by the proxy, which opens a file when others may "
        "have been put in its place; publish to a directory and serve that, or mount this one read-only",
        directory,
    )


#: No spelling carries these through every server and proxy, so such files are streamed.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

_PREFIX = re.compile(r"/(?:[!-~]*/)?")

#: Where a named mount's files are inside the proxy, unless STATIC_X_SENDFILE_MAP says otherwise.
INTERNAL_PREFIX = "/_accel/"


def _quoted(path: bytes) -> bytes | None:
    return quote_from_bytes(path, safe="/").encode()


def _quoted_utf8(path: bytes) -> bytes | None:
    try:
        path.decode()
    except UnicodeDecodeError:
        return None
    return _quoted(path)


def _raw(path: bytes) -> bytes | None:
    return path if path == path.strip() else None  # blanks at the end of a header's value are dropped


def _same_in_both(path: bytes) -> bytes | None:
    return path if _quoted(path) == path else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """The header and path format of one proxy."""

    header: str
    #: The path as this proxy reads it back; ``None`` for one that it cannot read.
    spell: Callable[[bytes], bytes | None]
    #: Whether it wants a URI of its own instead of the path on disk.
    mapped: bool = False
    #: Headers that the proxy would treat wrongly, so they are sent as ``X-Offload-<name>`` and its
    #: configuration gives them their names back (``examples/proxies``).
    apart: frozenset[bytes] = frozenset()
    #: Headers that the proxy adds by itself.
    adds: frozenset[bytes] = frozenset()
    #: Headers with which a file must not go this way at all.
    never: frozenset[bytes] = frozenset()


_CACHE_CONTROL, _CONTENT_ENCODING = frozenset({b"cache-control"}), frozenset({b"content-encoding"})
_ACCEPT_RANGES = frozenset({b"accept-ranges"})

#: By the header, and the name of the server; the empty name is whoever understands the header.
DIALECTS: Mapping[tuple[str, str], Dialect] = {
    ("X-Accel-Redirect", ""): Dialect("X-Accel-Redirect", _quoted, mapped=True, adds=_ACCEPT_RANGES),
    # nginx keeps our Cache-Control on its own 404 when the file has just gone.
    ("X-Accel-Redirect", "nginx"): Dialect(
        "X-Accel-Redirect", _quoted, mapped=True, adds=_ACCEPT_RANGES, apart=_CACHE_CONTROL
    ),
    ("X-Accel-Redirect", "caddy"): Dialect("X-Accel-Redirect", _quoted, mapped=True, adds=_ACCEPT_RANGES),
    # Apache or Lighttpd, not known which: only what both treat alike; the rest is streamed.
    ("X-Sendfile", ""): Dialect("X-Sendfile", _same_in_both, never=_CONTENT_ENCODING),
    # mod_xsendfile deletes Content-Encoding.
    ("X-Sendfile", "apache"): Dialect("X-Sendfile", _raw, apart=_CONTENT_ENCODING),
    ("X-Sendfile", "lighttpd"): Dialect("X-Sendfile", _quoted_utf8),
}


@dataclass(frozen=True, slots=True)
class Sendfile:
    """Decided once, when the store is wired: who sends local files, and by which header."""

    dialect: Dialect
    #: Directories (absolute, with a closing slash) and the URI prefixes that the proxy has for them. A directory may
    #: lie behind a link that a deploy moves, so it is resolved with each use.
    places: tuple[tuple[str, str], ...] = ()
    #: Of the mount, for messages.
    directory: str = ""

    @classmethod
    def parse(cls, header: str, server: str = "", places: Mapping[str, str] | None = None) -> Sendfile | None:
        """Read the three settings; ``None`` where no *header* is configured.

        Raises:
            SettingsError: the server does not read that header, or the map is malformed or of no use.
        """
        if not header:
            if server or places:
                raise SettingsError(
                    "STATIC_X_SENDFILE_SERVER and STATIC_X_SENDFILE_MAP mean nothing without "
                    "STATIC_X_SENDFILE_HEADER; set it to 'X-Accel-Redirect' or 'X-Sendfile'"
                )
            return None
        dialect = DIALECTS.get((header, server))
        if dialect is None:
            fitting = " or ".join(repr(name) for known, name in DIALECTS if known == header and name)
            raise SettingsError(
                f"STATIC_X_SENDFILE_SERVER={server!r} does not go with STATIC_X_SENDFILE_HEADER={header!r}; "
                f"give {fitting}"
            )
        if places and not dialect.mapped:
            raise SettingsError(
                f"STATIC_X_SENDFILE_MAP is for X-Accel-Redirect; {header} names paths on disk, so remove the map"
            )
        offload = cls(dialect)
        for directory, prefix in (places or {}).items():
            offload = offload._with(directory, prefix)
        return offload

    def for_mount(self, mount: Mount) -> Sendfile:
        """The same, knowing *mount*: its files are at ``/_accel/<name>/`` unless the map covers them."""
        backend = getattr(mount.backend, "inner", mount.backend)
        mine = replace(self, directory=mount.backend.label)
        if not isinstance(backend, LocalBackend) or not self.dialect.mapped or mount.name is None:
            return mine
        if self._uri(_real(backend.label), exact=False) is not None:
            return mine
        return mine._with(backend.label, f"{INTERNAL_PREFIX}{quote_from_bytes(mount.name.encode())}/")

    def respond(
        self, response: Response, request: AssetRequest, chosen: Representation, opened: AsyncOpenFile | None
    ) -> Response:
        """*response*, or where it would send a file of this disk, one that leaves that to the proxy.

        The proxy cuts the one requested part by itself, from a 200: a 206 of ours it would
        misread. A Range header that is to be ignored it might take up, so then nothing is left to it.
        """
        real_path: str | None = getattr(opened, "real_path", None)
        if real_path is None or not response.needs_file or len(response.body) != 1:
            return response
        if request.has_range != (response.status == 206):
            return response
        if not chosen.by_path:
            _tell_streamed(self.directory)
            return response
        headers = self.headers(chosen.full, real_path)
        return response if headers is None else Response(200, headers)

    def headers(self, whole: Headers, real_path: str) -> Headers | None:
        """The headers of a 200 with the *whole* file at *real_path*, as they go out with an empty body.

        ``None`` means that this proxy cannot read such a path, and the application streams as without one.
        What may be kept for ever is never named by a path through a link, which the proxy would follow
        later, when it may lead to another release.
        """
        path = os.fsencode(real_path)
        if _CONTROL.search(path) or any(name in self.dialect.never for name, _ in whole):
            return None
        value = self._uri(real_path, exact=is_immutable(whole)) if self.dialect.mapped else self.dialect.spell(path)
        if value is None:
            return None
        left_out = self.dialect.adds | {b"content-length"}  # the length is the file's
        apart = self.dialect.apart
        kept = (
            (b"x-offload-" + name if name in apart else name, value) for name, value in whole if name not in left_out
        )
        return (*kept, (b"content-length", b"0"), (self.dialect.header.lower().encode(), value))

    def _with(self, directory: str, prefix: str) -> Sendfile:
        if not _PREFIX.fullmatch(prefix):
            raise SettingsError(
                f"STATIC_X_SENDFILE_MAP gives {prefix!r} for {directory!r}, which needs a slash at both ends "
                "and no blanks; a good one is '/_accel/'"
            )
        places = [*self.places, (_absolute(directory), prefix)]
        return replace(self, places=tuple(sorted(places, key=lambda place: -len(place[0]))))

    def _uri(self, real_path: str, *, exact: bool) -> bytes | None:
        """Where the proxy has *real_path*: the longest directory of the map that holds it; *exact*, without a link."""
        for directory, prefix in self.places:
            real = _real(directory)
            if real_path.startswith(real) and (not exact or real == directory):
                rest = self.dialect.spell(os.fsencode(real_path[len(real) :]))
                return None if rest is None else prefix.encode() + rest
        return None


def _absolute(directory: str) -> str:
    return os.path.join(os.path.abspath(os.path.expanduser(directory)), "")


def _real(directory: str) -> str:
    return os.path.join(os.path.realpath(directory), "")


def sendfile_of(settings: Settings) -> Sendfile | None:
    """What the settings say of a proxy in front; ``None`` without one.

    Raises:
        SettingsError: they do not go together.
    """
    return Sendfile.parse(
        settings.STATIC_X_SENDFILE_HEADER, settings.STATIC_X_SENDFILE_SERVER, settings.STATIC_X_SENDFILE_MAP
    )
