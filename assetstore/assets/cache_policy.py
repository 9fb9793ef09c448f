"""This module owns the headers an asset carries wherever it lives: cache policy, and a mount's own by pattern.

The origin sends them and publishing stores them, so both ask here and cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from assetstore.errors import SettingsError

#: A year in seconds: the longest that a cache policy means anything.
YEAR_SECONDS = 31_536_000

# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII with blanks inside (RFC 9110 section 5.5 without its obsolete parts).
_VALUE = re.compile(r"[!-~]([ -~\t]*[!-~])?")
_SHARED = re.compile(r"(s-maxage|stale-while-revalidate|stale-if-error)=(\d{1,9})")

#: Headers that follow from the file and the request, or that would unsay what is promised.
OWNED = frozenset(
    """
    accept-ranges access-control-allow-headers access-control-allow-methods access-control-allow-origin
    access-control-max-age age allow cache-control connection content-encoding content-length content-range
    content-type date etag expires keep-alive last-modified location proxy-authenticate retry-after set-cookie
    trailer transfer-encoding upgrade vary x-accel-redirect x-sendfile
    """.split()
)


def cache_control(*, immutable: bool, public: bool, shared: str = "") -> str:
    """The Cache-Control value of an asset (guide section 7; RFC 9111, RFC 8246).

    *shared* is what shared caches may do with a plain file (:func:`shared_policy`). A file whose
    fingerprint is verified needs none: it is good for a year everywhere.
    """
    audience = "public" if public else "private"
    if immutable:
        return f"max-age={YEAR_SECONDS}, {audience}, immutable"
    if not shared:
        return f"max-age=0, {audience}, must-revalidate"
    # must-revalidate forbids the stale answers that stale-* allow (RFC 9111 section 5.2.2.2).
    last = "" if "stale-" in shared else ", must-revalidate"
    return f"max-age=0, {audience}, {shared}{last}"


def shared_policy(value: str, *, public: bool = True) -> str:
    """*value* as it goes into Cache-Control: ``s-maxage=60, stale-while-revalidate=30`` or nothing.

    Raises:
        SettingsError: a directive other than those and ``stale-if-error``, or a private mount.
    """
    parts = [part.strip() for part in value.split(",") if part.strip()]
    for part in parts:
        if not _SHARED.fullmatch(part):
            raise SettingsError(
                f"{part!r} is no policy for shared caches; write seconds, as 's-maxage=60, stale-while-revalidate=30'"
            )
    if parts and not public:
        raise SettingsError(f"{value!r} speaks to shared caches, which never keep files of a mount with public=False")
    return ", ".join(parts)


class HeaderRules:
    """Extra response headers by glob pattern on the logical path; a later pattern wins per header.

    ``*`` stands for anything within one segment, ``**`` for anything at all, ``?`` for one
    character. A pattern without ``/`` is matched against the file's name in any folder.

    >>> HeaderRules({"*.svg": {"Content-Security-Policy": "script-src 'none'"}}).of("img/logo.svg")
    {'Content-Security-Policy': "script-src 'none'"}

    Raises:
        SettingsError: a name or value that cannot be sent, or a header that the server owns.
    """

    def __init__(self, rules: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._rules = [
            (_glob(pattern), {_name(name, pattern): _value(value, name) for name, value in headers.items()})
            for pattern, headers in (rules or {}).items()
        ]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, path: str) -> Mapping[str, str]:
        """The extra headers of one logical path, by name."""
        found: dict[str, tuple[str, str]] = {}
        for pattern, headers in self._rules:
            if pattern.fullmatch(path):
                found.update({name.lower(): (name, value) for name, value in headers.items()})
        return dict(found.values())


def _glob(pattern: str) -> re.Pattern[str]:
    if not pattern or pattern.startswith("/"):
        raise SettingsError(f"header pattern {pattern!r} must be relative to the mount's root, as '*.svg' or 'js/**'")
    pieces = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(pieces.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", pattern))
    return re.compile(body if "/" in pattern or "**" in pattern else f"(?:.*/)?{body}", re.DOTALL)


def _name(name: str, pattern: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise SettingsError(f"{name!r} (for {pattern!r}) is no header name; write it as 'Content-Security-Policy'")
    if name.lower() in OWNED:
        raise SettingsError(f"the header {name} (for {pattern!r}) is set from the file itself and cannot be given")
    return name


def _value(value: str, name: str) -> str:
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise SettingsError(f"{value!r} cannot be the value of {name}: it must be plain ASCII on one line")
    return value
