"""This module owns what a legal logical path is, and how one is spelled in a URL.

A *logical path* is an asset's name for authors: ``css/app.css``, separated by ``/``, with no
leading slash. Every path that comes from outside (a URL, a template, a listing) passes
:func:`clean` before it may reach a backend.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote

from assetstore.errors import UnsafePath

#: Longest logical path in UTF-8 bytes: the length of an S3 key.
MAX_PATH_BYTES = 1024

#: Characters that no path may hold: controls, and the backslash (a separator on Windows and
#: one that browsers turn into ``/``).
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_DRIVE = re.compile(r"^[A-Za-z]:")
#: What nearly every path is made of, and what breaks no rule but perhaps that of length.
_ORDINARY = re.compile(r"[\w@+-][\w.@+-]*(/[\w@+-][\w.@+-]*)*", re.ASCII)


def clean(path: str, *, hidden: bool = False) -> str:
    """Return *path* unchanged if it is a legal logical path.

    Nothing is normalised away: a path with an empty, ``.`` or ``..`` segment is refused, so one
    file has one spelling. Names that begin with a dot are refused unless *hidden* is true.

    Raises:
        UnsafePath: the message says which rule it breaks.
    """
    if len(path) <= MAX_PATH_BYTES and _ORDINARY.fullmatch(path):
        return path
    if not path:
        raise UnsafePath("an asset path cannot be empty; write it relative to the root, as 'css/app.css'")
    if path.startswith("/"):
        raise UnsafePath(f"asset path {path!r} starts with '/'; write it relative to the root: {path.lstrip('/')!r}")
    if _FORBIDDEN.search(path):
        raise UnsafePath(f"asset path {path!r} holds a control character or a backslash")
    if _DRIVE.match(path):
        raise UnsafePath(f"asset path {path!r} names a drive; write it relative to the root")
    if _utf8_length(path) > MAX_PATH_BYTES:
        raise UnsafePath(f"asset path {path[:40]!r}… is longer than {MAX_PATH_BYTES} bytes")
    for segment in path.split("/"):
        _check_segment(segment, path, hidden)
    return path


def _check_segment(segment: str, path: str, hidden: bool) -> None:
    if not segment:
        raise UnsafePath(f"asset path {path!r} has an empty segment ('//' or a closing '/')")
    if segment in {".", ".."}:
        raise UnsafePath(f"asset path {path!r} has a {segment!r} segment, which could leave the root")
    if segment.startswith(".") and not hidden:
        raise UnsafePath(f"asset path {path!r} names a hidden file; dotfiles are never served")


def _utf8_length(path: str) -> int:
    try:
        return len(path.encode())
    except UnicodeEncodeError:
        raise UnsafePath(f"asset path {path!r} is not valid Unicode") from None


def is_clean(path: str) -> bool:
    """Whether *path* is a legal logical path."""
    try:
        clean(path)
    except UnsafePath:
        return False
    return True


def extension(path: str) -> str:
    """The last extension with its dot, in lower case: ``.js`` for ``app.min.js``; ``""`` for none."""
    return posixpath.splitext(path)[1].lower()


def to_url(path: str) -> str:
    """Percent-encode a logical path for use in a URL path (RFC 3986 section 3.3)."""
    return quote(path, safe="/@")
