"""Legal logical paths, how one is written in a URL, and which files of a root are assets (``include``, ``exclude``).

A *logical path* is an asset's name for authors: ``css/app.css``, separated by ``/``, with no
leading slash. Every path that comes from outside (a URL, a template, a listing) passes
:func:`clean` before it may reach a backend.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from assetstore.assets.cache_policy import glob
from assetstore.errors import SettingsError, UnsafePath

#: Longest logical path in UTF-8 bytes: the length of an S3 key.
MAX_PATH_BYTES = 1024

#: The names beginning with a dot that are served unless a mount says otherwise (RFC 8615).
WELL_KNOWN = frozenset({".well-known"})

#: Characters that no path may hold: controls, and the backslash, which separates folders on
#: Windows and which browsers turn into ``/``.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_DRIVE = re.compile(r"^[A-Za-z]:")
#: Matches nearly every path; breaks no rule but perhaps that of length.
_ORDINARY = re.compile(r"[\w@+-][\w.@+-]*(/[\w@+-][\w.@+-]*)*", re.ASCII)


def clean(path: str, *, hidden: bool | frozenset[str] = WELL_KNOWN, longest: int = MAX_PATH_BYTES) -> str:
    """Return *path* unchanged if it is a legal logical path.

    Nothing is normalised: a path with an empty, ``.`` or ``..`` segment is refused, so one file has
    one spelling.

    Args:
        path: the path, as decoded from a URL.
        hidden: which names that begin with a dot are legal; ``True`` for all of them.
        longest: length limit in UTF-8 bytes.

    Raises:
        UnsafePath: the message says which rule it breaks.
    """
    if len(path) <= longest and _ORDINARY.fullmatch(path):
        return path
    if not path:
        raise UnsafePath("an asset path cannot be empty; write it relative to the root, as 'css/app.css'")
    if path.startswith("/"):
        raise UnsafePath(f"asset path {path!r} starts with '/'; write it relative to the root: {path.lstrip('/')!r}")
    if _FORBIDDEN.search(path):
        raise UnsafePath(f"asset path {path!r} holds a control character or a backslash")
    if _DRIVE.match(path):
        raise UnsafePath(f"asset path {path!r} names a drive; write it relative to the root")
    if _utf8_length(path) > longest:
        raise UnsafePath(f"asset path {path[:40]!r}… is longer than {longest} bytes")
    for segment in path.split("/"):
        _check_segment(segment, path, hidden)
    return path


def _check_segment(segment: str, path: str, hidden: bool | frozenset[str]) -> None:
    if not segment:
        raise UnsafePath(f"asset path {path!r} has an empty segment ('//' or a closing '/')")
    if segment in {".", ".."}:
        raise UnsafePath(f"asset path {path!r} has a {segment!r} segment, which could leave the root")
    if segment.startswith(".") and hidden is not True and (hidden is False or segment not in hidden):
        raise UnsafePath(f"asset path {path!r} names a hidden file; serve it with hidden=({segment!r},)")


def _utf8_length(path: str) -> int:
    try:
        return len(path.encode())
    except UnicodeEncodeError:
        raise UnsafePath(f"asset path {path!r} is not valid Unicode") from None


def is_clean(path: str, *, hidden: bool | frozenset[str] = WELL_KNOWN) -> bool:
    """Whether *path* is a legal logical path."""
    try:
        clean(path, hidden=hidden)
    except UnsafePath:
        return False
    return True


def hidden_names(given: object) -> frozenset[str]:
    """Read ``hidden=`` of a mount: these names, and ``.well-known``.

    Raises:
        SettingsError: it is no list of names, or one does not begin with a dot.
    """
    names = list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else [given]
    good = {name for name in names if isinstance(name, str) and name.startswith(".") and is_clean(name, hidden=True)}
    if any(name not in good or "/" in name for name in names):
        raise SettingsError(f"hidden={given!r} is no list of names with a leading dot; give one such as ('.foo',)")
    return WELL_KNOWN | good


def extension(path: str) -> str:
    """The last extension with its dot, in lower case: ``.js`` for ``app.min.js``; ``""`` for none."""
    return posixpath.splitext(path)[1].lower()


def to_url(path: str) -> str:
    """Percent-encode a logical path for use in a URL path (RFC 3986 section 3.3)."""
    return quote(path, safe="/@")


#: Names that are no assets unless ``include`` names them: keys and credentials, state and dumps, and what editors,
#: compilers and file managers leave behind. Names with a leading dot are hidden anyway.
DEFAULT_EXCLUDE = (
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"),
    *("credentials.json", "service-account*.json", "client_secret*.json", "*.tfstate", "*.tfstate.*", "*.tfvars"),
    *("*.sql", "*.sql.gz", "*.htpasswd", "*.env", "__pycache__/**", "**/__pycache__/**", "*.pyc", "*.pyo"),
    *("*~", "*.swp", "*.swo", "#*#", "*.orig", "*.rej", "Thumbs.db", "desktop.ini", "ehthumbs.db"),
)


class PathFilter:
    """Decides by its logical path whether a file is an asset.

    Args:
        include: glob patterns of what is an asset whatever *exclude* and :data:`DEFAULT_EXCLUDE` say.
        exclude: glob patterns of what is none: ``"*.map"``, ``"drafts/**"``.

    Raises:
        SettingsError: one of them is no list of patterns, or a pattern can match nothing.
    """

    __slots__ = ("_exclude", "_include", "allows")

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = _compiled("include", include)
        self._exclude = _compiled("exclude", [*_listed("exclude", exclude), *DEFAULT_EXCLUDE])
        #: Whether the file at a logical path is an asset; the last 10,000 paths are remembered.
        self.allows = lru_cache(maxsize=10_000)(self._allows)

    def _allows(self, path: str) -> bool:
        if self._include is not None and self._include.fullmatch(path):
            return True
        return self._exclude is None or not self._exclude.fullmatch(path)


def _listed(setting: str, patterns: object) -> list[str]:
    if isinstance(patterns, str | bytes) or not isinstance(patterns, Iterable):
        raise SettingsError(
            f"{setting}={patterns!r} is no list; give a list of patterns such as ['*.map', 'drafts/**']"
        )
    return list(patterns)


def _compiled(setting: str, patterns: Iterable[str]) -> re.Pattern[str] | None:
    parts = [glob(pattern, setting).pattern for pattern in _listed(setting, patterns)]
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL) if parts else None


#: What a mount has where nothing else is given.
DEFAULT_FILTER = PathFilter()
