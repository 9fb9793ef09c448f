"""Names that a bundler made of the file's content, so that a plain URL may be cached for a year (``immutable=``).

The presets match the default names of each bundler's hashed output: hash of 8 characters for Vite, Rollup, esbuild and
Parcel, 20 hex digits or an abbreviation of at least 8 for webpack. A hash has to look like one, so that
``app-template.js`` and ``report-20240101.js`` are plain files.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Literal

from assetstore.assets.cache_policy import glob
from assetstore.errors import SettingsError

_log = logging.getLogger("assetstore")

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
