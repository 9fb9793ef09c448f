"""A reference from one file to another: its URL, its position, and which asset it means.

A style sheet says ``url("../fonts/inter.woff2?v=4#iefix")``, a script ``import "./dep.js"``. The
scanners beside this module find them; here they are resolved to a logical path and the suffix that
has to be kept.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from assetstore.assets.paths import is_clean, to_url
from assetstore.util.background import on_event_loop

#: How many references of one file are read; the largest real style sheets and bundles have some hundreds.
MAX_REFERENCES = 20_000

#: A URL with a scheme (RFC 3986 section 3.1), among them ``data:`` and ``blob:``.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
#: What the URL standard strips from both ends, and what it removes anywhere (url.spec.whatwg.org, "URL parsing").
_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")
#: After how many tokens a scanner lets other threads have the interpreter lock.
TURN_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column of a reference in its file: both from one, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class Positions:
    """Positions for offsets of bytes in a file. Ascending offsets cost one pass over the file together."""

    def __init__(self, data: bytes, *, breaks: bytes = b"\r\n") -> None:
        self._data = data
        #: The characters that end a line, ``\r\n`` as one.
        self._breaks = breaks
        self._offset = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        self._line, self._column = 1, 1

    def at(self, offset: int) -> Position:
        """The position of the byte at *offset*, which is no less than the one before."""
        between = self._data[self._offset : offset]
        ends = [between.rfind(each) for each in self._breaks]
        if (end := max(ends)) >= 0:
            counts = sum(between.count(each) for each in self._breaks)
            self._line += counts - between.count(b"\r\n")
            self._column = 1
            between = between[end + 1 :]
        self._column += len(between.decode(errors="replace"))
        self._offset = offset
        return Position(self._line, self._column)


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference as written, escapes undone: ``kind`` is the syntax that carries it."""

    kind: str
    url: str
    #: ``0:0`` for a reference that was read from a manifest, which has no positions; not part of equality.
    position: Position = field(default=Position(0, 0), compare=False)

    def __str__(self) -> str:
        return f"{self.kind} of {self.url!r}"


@dataclass(frozen=True, slots=True)
class Located:
    """A reference, the half-open span of bytes that spells its URL, and how another URL is spelled there."""

    reference: Reference
    start: int
    stop: int
    spell: Callable[[str], str]


def replace(data: bytes, found: Iterable[Located], replacement: Callable[[Reference], str | None]) -> bytes:
    """*data* with the URL of each *found* reference replaced by what *replacement* gives; ``None`` keeps it."""
    parts, end = [], 0
    for each in found:
        if (url := replacement(each.reference)) is not None:
            parts += [data[end : each.start], each.spell(url).encode()]
            end = each.stop
    return b"".join([*parts, data[end:]])


def tokens_in_turn() -> int:
    """After how many tokens a scanner sleeps for no time, so that other threads have the interpreter lock; 0 for never.

    An event loop that stats some files would otherwise wait up to 5 ms (``sys.getswitchinterval``) after each. On an
    event loop itself there is no other thread to wait for.
    """
    return 0 if on_event_loop() else TURN_TOKENS


def run(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    """Where repeated matches of *pattern* from *pos* on end; the pattern matches the empty string too."""
    while (end := pattern.match(data, pos).end()) > pos:  # type: ignore[union-attr]
        pos = end
    return pos


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reference means inside its mount: a logical path, and ``?query#fragment`` as written."""

    path: str
    suffix: str = ""
    #: The URL of the mount that the reference began with; ``""`` for a relative one.
    prefix: str = ""


class OutsideMount(ValueError):
    """A reference climbs out of its mount, names a folder, or is spelled as no asset may be."""


def is_relative(url: str) -> bool:
    """Whether *url* names another file by its place beside the referring one.

    Full URLs, ``//host/…``, ``/absolute`` paths, bare ``#fragments``, bare ``?queries`` and empty
    ones do not.
    """
    url = url.strip(_C0_AND_SPACE)
    return bool(url) and url[0] not in "/\\#?" and not _SCHEME.match(url)


def target(owner: str, url: str) -> Meaning:
    """Which asset a relative *url* inside the file *owner* means.

    Raises:
        OutsideMount: it climbs above the root, names a folder, or is no legal logical path.
    """
    return _meaning(url, posixpath.dirname(owner), "", owner)


def own(url: str, prefixes: Sequence[str]) -> Meaning | None:
    """Which asset *url* means if it begins with one of *prefixes*, the URLs of a mount; ``None`` if it does not.

    Raises:
        OutsideMount: as :func:`target`.
    """
    url = url.strip(_C0_AND_SPACE)
    for prefix in prefixes:
        if url.startswith(prefix) and not (prefix == "/" and url.startswith(("//", "/\\"))):
            return _meaning(url[len(prefix) :], "", prefix, prefix)
    return None


def _meaning(url: str, folder: str, prefix: str, where: str) -> Meaning:
    url = url.strip(_C0_AND_SPACE).translate(_REMOVED)
    end = min((at for at in (url.find("?"), url.find("#")) if at >= 0), default=len(url))
    path, suffix = unquote(url[:end], errors="surrogateescape"), url[end:]
    joined = posixpath.normpath(posixpath.join(folder, path))
    if posixpath.basename(path) in {"", ".", ".."} or not is_clean(joined):
        raise OutsideMount(f"{url!r} in {where!r} leaves the mount or names no file")
    return Meaning(joined, suffix, prefix)


def relative(owner: str, path: str) -> str:
    """The relative URL from the file *owner* to the file *path* (RFC 3986 section 4.2)."""
    here, (folder, name) = posixpath.dirname(owner), posixpath.split(path)
    between = posixpath.relpath(f"/{folder}", f"/{here}")
    return to_url(name if between == "." else f"{between}/{name}")
