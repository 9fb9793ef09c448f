"""This module owns what is said of an asset that is not there: once, with the nearest names."""

from __future__ import annotations

import difflib
import logging
from itertools import islice

from assetstore.errors import AssetNotFound, BackendError
from assetstore.mounts import Mount
from assetstore.resolver import Learning

_log = logging.getLogger("assetstore")

#: How many names are compared, so that one typo cannot make a page wait for a large tree.
COMPARED = 500
#: How many missing names are remembered as said.
REMEMBERED = 1_000


class MissingAssets:
    """Says that an asset is missing: an error where the store is strict, else one warning each."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._said: set[tuple[str, str]] = set()

    def report(self, mount: Mount, path: str) -> None:
        """Take note that a page named *path*, which *mount* does not have.

        Raises:
            AssetNotFound: only where the store is strict.
        """
        if isinstance(mount.resolver, Learning) and not mount.resolver.knows(path):
            return  # not known yet is not missing
        key = (mount.label, path)
        if not self._strict and key in self._said:
            return
        error = AssetNotFound(path, f"mount {mount.label} ({mount.backend.label})", _hint(mount, path))
        if self._strict:
            raise error
        if len(self._said) < REMEMBERED:
            self._said.add(key)
            _log.warning("%s; its URL carries no fingerprint", error)


def _hint(mount: Mount, path: str) -> str:
    if not mount.allows(path):
        return f"its extension is not among allowed_ext={sorted(mount.allowed_ext)}"
    close = nearest(mount, path)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else "is the name spelled as the file is?"


def nearest(mount: Mount, path: str) -> list[str]:
    """Up to three names that *mount* has and that look like *path*, best first."""
    try:
        names = [asset.path for asset in islice(mount.resolver.all(), COMPARED)]
    except (AssetNotFound, BackendError):
        return []
    same_name = [name for name in names if name.rpartition("/")[2] == path.rpartition("/")[2]]
    return (same_name + [each for each in difflib.get_close_matches(path, names) if each not in same_name])[:3]
