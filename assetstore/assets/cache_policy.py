"""Cache-Control, CORS origins, a mount's own response headers by pattern, and names that never change (``immutable=``).

The server sends them and publishing stores them, both from here, so that they cannot differ.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from assetstore.errors import SettingsError

_log = logging.getLogger("assetstore")

#: A year in seconds, which stands for "never expires" (RFC 2616 section 14.21 advised against more).
YEAR_SECONDS = 31_536_000

# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII with blanks inside (RFC 9110 section 5.5 without its obsolete parts).
_VALUE = re.compile(r"[!-~]([ -~\t]*[!-~])?")
_SHARED = re.compile(r"(s-maxage|stale-while-revalidate|stale-if-error)=(\d{1,9})")
# RFC 6454 section 7, lower case as browsers send it.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")

#: Headers that follow from the file and the request, or that would contradict what is promised.
RESERVED = frozenset(
    """
    accept-ranges access-control-allow-headers access-control-allow-methods access-control-allow-origin
    access-control-max-age age allow cache-control connection content-encoding content-length content-range
    content-type date etag expires keep-alive last-modified location proxy-authenticate retry-after set-cookie
    trailer transfer-encoding upgrade vary x-accel-redirect x-sendfile
    """.split()
)

#: The options that say what some of them are.
_INSTEAD = {
    "content-type": "media_types={'.ext': 'type/subtype'}",
    "cache-control": "max_age=, shared_cache= or immutable=",
    "access-control-allow-origin": "cors=",
}


def cache_control(*, immutable: bool, public: bool, shared: str = "", max_age_seconds: int = 0) -> str:
    """The Cache-Control value of an asset (RFC 9111 section 5.2.2, RFC 8246).

    Args:
        immutable: whether the fingerprint in the URL was verified; then every cache may keep it for a year.
        public: whether shared caches may store it.
        shared: directives for shared caches on a plain file, from :func:`shared_policy`.
        max_age_seconds: how long a plain file may be used without revalidation.
    """
    audience = "public" if public else "private"
    if immutable:
        return f"max-age={YEAR_SECONDS}, {audience}, immutable"
    directives = [f"max-age={max_age_seconds}", audience]
    if shared:
        directives.append(shared)
    # must-revalidate forbids the stale responses that stale-* allow (RFC 9111 section 5.2.2.2).
    if "stale-" not in shared:
        directives.append("must-revalidate")
    return ", ".join(directives)


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


class MaxAge:
    """``max-age`` of plain files in seconds: one number, or by glob pattern; a later pattern wins.

    >>> MaxAge({"*.png": 3600, "docs/**": 60}).of("docs/a.png")
    60

    Raises:
        SettingsError: a value is no whole number from 0 to a year, or a pattern can match nothing.
    """

    def __init__(self, given: int | Mapping[str, int] = 0) -> None:
        rules = given if isinstance(given, Mapping) else {}
        #: Where no pattern matches.
        self._otherwise = 0 if isinstance(given, Mapping) else _seconds(given)
        self._rules = [(glob(pattern, "max_age"), _seconds(value)) for pattern, value in rules.items()]

    def of(self, path: str) -> int:
        """Seconds for one logical path; 0 where no pattern matches."""
        for pattern, seconds in reversed(self._rules):
            if pattern.fullmatch(path):
                return seconds
        return self._otherwise


def cors_origins(given: object) -> frozenset[str] | None:
    """Read ``cors=``: ``None`` for every origin (``"*"``), else the origins that may read responses.

    Raises:
        SettingsError: it is neither ``"*"``, ``None`` nor a list of origins such as ``https://app.example.com``.
    """
    if given == "*":
        return None
    origins = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else [given]
    if origins == [None]:
        return frozenset()
    good = frozenset(each for each in origins if isinstance(each, str) and _ORIGIN.fullmatch(each))
    if len(good) < len(origins):
        raise SettingsError(
            f"cors={given!r} is not known; give '*', None, or a list of different origins without a closing slash, "
            "such as ['https://app.example.com']"
        )
    return good


class HeaderRules:
    """Further response headers by :func:`glob` pattern on the logical path; a later pattern wins per header.

    >>> HeaderRules({"*.svg": {"Content-Security-Policy": "script-src 'none'"}}).of("img/logo.svg")
    {'Content-Security-Policy': "script-src 'none'"}

    Raises:
        SettingsError: a name or value that cannot be sent, or one of :data:`RESERVED`.
    """

    def __init__(self, rules: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._rules = [
            (glob(pattern, "headers"), {_name(name, pattern): _value(value, name) for name, value in headers.items()})
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


def glob(pattern: object, setting: str) -> re.Pattern[str]:
    """A glob pattern on logical paths, to be matched whole.

    ``*`` stands for anything within one segment, ``**`` for anything at all, ``?`` for one character. A
    pattern without ``/`` is matched against the file's name in any folder.

    Raises:
        SettingsError: *pattern* is empty or begins with a slash, so that it could match nothing.
    """
    if not isinstance(pattern, str) or not pattern or pattern.startswith("/"):
        raise SettingsError(
            f"{setting} has the pattern {pattern!r}; write it relative to the mount's root, as '*.svg' or 'js/**'"
        )
    pieces = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(pieces.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", pattern))
    return re.compile(body if "/" in pattern or "**" in pattern else f"(?:.*/)?{body}", re.DOTALL)


def _seconds(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= YEAR_SECONDS:
        return value
    raise SettingsError(f"max_age has {value!r}; give whole seconds from 0 to {YEAR_SECONDS}, such as 3600")


def _name(name: str, pattern: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise SettingsError(f"{name!r} (for {pattern!r}) is no header name; write it as 'Content-Security-Policy'")
    if name.lower() in RESERVED:
        instead = _INSTEAD.get(name.lower())
        raise SettingsError(
            f"the header {name} (for {pattern!r}) is set from the file itself and cannot be given"
            + (f"; use {instead} of static()" if instead else "")
        )
    return name


def _value(value: str, name: str) -> str:
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise SettingsError(f"{value!r} cannot be the value of {name}: it must be plain ASCII on one line")
    return value


Bundler = Literal["vite", "rollup", "esbuild", "webpack", "parcel"]
#: What ``immutable=`` of a mount may be: a bundler, a glob pattern, a callable that gets the logical path, or several.
ImmutableChoice = Bundler | str | Callable[[str], bool] | Iterable[Bundler | str]

# What follows the hash: an extension, perhaps several (.chunk.js, .js.map, .js.LICENSE.txt).
_END = r"(\.[A-Za-z0-9]+){1,4}"
# Neither only digits (a date) nor one word in one of its usual spellings.
_BASE64URL = r"(?![0-9]{8}\.|[A-Za-z]?[a-z]{7}\.|[A-Z]{8}\.)[A-Za-z0-9_-]{8}"
_HEX = r"(?=[0-9]*[a-f])(?=[a-f]*[0-9])(?:[0-9a-f]{8,20}|[0-9a-f]{32})"

PRESETS: dict[str, re.Pattern[str]] = {
    "vite": re.compile(rf"(.*/)?assets/(.*/)?[^/]+-{_BASE64URL}{_END}", re.DOTALL),
    "rollup": re.compile(rf"(.*/)?[^/]+-{_BASE64URL}{_END}", re.DOTALL),
    "esbuild": re.compile(rf"(.*/)?[^/]+-[A-Z2-7]{{8}}{_END}", re.DOTALL),
    "webpack": re.compile(rf"(.*/)?([^/]+[.-])?{_HEX}{_END}", re.DOTALL),
    "parcel": re.compile(rf"(.*/)?[^/]+\.{_HEX}{_END}", re.DOTALL),
}


class ImmutableNames:
    """Which plain names promise that their content never changes.

    Raises:
        SettingsError: *choice* is no bundler, pattern, callable or list of those.
    """

    def __init__(self, choice: ImmutableChoice | None = None) -> None:
        self._callable: Callable[[str], bool] | None = None
        self._patterns: list[re.Pattern[str]] = []
        self._reported = False
        if callable(choice):
            self._callable = choice
            return
        several = choice if isinstance(choice, Iterable) and not isinstance(choice, str | bytes) else [choice]
        for each in several if choice is not None else ():
            if not isinstance(each, str):
                raise SettingsError(
                    f"immutable={choice!r} is not known; give one of {', '.join(map(repr, PRESETS))}, a pattern such as "
                    "'assets/**', a callable that gets the path, or a list"
                )
            self._patterns.append(PRESETS[each] if each in PRESETS else glob(each, "immutable"))

    def __bool__(self) -> bool:
        return self._callable is not None or bool(self._patterns)

    def holds(self, path: str) -> bool:
        """Whether logical *path* is such a name; ``False`` where the callable raises, which is logged once."""
        if self._callable is None:
            return any(pattern.fullmatch(path) for pattern in self._patterns)
        try:
            return bool(self._callable(path))
        except Exception as error:
            if not self._reported:
                self._reported = True
                _log.warning("immutable= raised %r for %r; such files are not promised for a year", error, path)
            return False
