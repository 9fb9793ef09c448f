"""This module owns what a reference from one file to another is, and which asset it means.

A style sheet says ``url("../fonts/inter.woff2?v=4#iefix")``, a script ``import "./dep.js"``. The
scanners (:mod:`assetstore.references.css`, :mod:`assetstore.references.js`) find them; here they are
given a meaning: the logical path that is referred to, and the suffix that has to be kept.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from assetstore.assets.paths import is_clean, to_url

#: A URL with a scheme (RFC 3986 section 3.1), among them ``data:`` and ``blob:``.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
#: What the URL standard strips from both ends, and what it removes anywhere (url.spec.whatwg.org, "URL parsing").
_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands, for people: both count from one, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference as written, escapes undone: ``kind`` is the syntax that carries it."""

    kind: str
    url: str
    #: ``0:0`` where a manifest tells of it, which has no places.
    place: Place = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference means inside its mount: a logical path, and ``?query#fragment`` as written."""

    path: str
    suffix: str = ""


class OutsideMount(ValueError):
    """A relative reference climbs out of its mount, or is spelled as no asset may be."""


def is_relative(url: str) -> bool:
    """Whether *url* names another file by its place beside the referring one.

    Full URLs, ``//host/…``, ``/absolute`` paths, bare ``#fragments``, bare ``?queries`` and empty
    ones do not.
    """
    url = url.strip(_C0_AND_SPACE)
    return bool(url) and url[0] not in "/\\#?" and not _SCHEME.match(url)


def target(owner: str, url: str) -> Target:
    """Which asset a relative *url* inside the file *owner* means.

    Raises:
        OutsideMount: it climbs above the root, names a folder, or is no legal logical path.
    """
    url = url.strip(_C0_AND_SPACE).translate(_REMOVED)
    end = min((at for at in (url.find("?"), url.find("#")) if at >= 0), default=len(url))
    path, suffix = unquote(url[:end], errors="surrogateescape"), url[end:]
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(owner), path))
    if posixpath.basename(path) in {"", ".", ".."} or not is_clean(joined):
        raise OutsideMount(f"{url!r} in {owner!r} leaves the mount or names no file")
    return Target(joined, suffix)


def relative(owner: str, path: str) -> str:
    """The relative URL from the file *owner* to the file *path* (RFC 3986 section 4.2)."""
    here, (folder, name) = posixpath.dirname(owner), posixpath.split(path)
    between = posixpath.relpath(f"/{folder}", f"/{here}")
    return to_url(name if between == "." else f"{between}/{name}")
