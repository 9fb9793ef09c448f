"""Which files of a root are assets: patterns that include and exclude, and the names of secrets and leftovers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from assetstore.assets.cache_policy import glob
from assetstore.errors import SettingsError

#: Names that are no assets unless ``include`` names them: keys and credentials, state and dumps, and what editors,
#: compilers and file managers leave behind. Names with a leading dot are hidden anyway.
DEFAULT_EXCLUDE = (
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"),
    *("credentials.json", "service-account*.json", "client_secret*.json", "*.tfstate", "*.tfstate.*", "*.tfvars"),
    *("*.sql", "*.sql.gz", "*.htpasswd", "*.env", "__pycache__/**", "**/__pycache__/**", "*.pyc", "*.pyo"),
    *("*~", "*.swp", "*.swo", "#*#", "*.orig", "*.rej", "Thumbs.db", "desktop.ini", "ehthumbs.db"),
)


class Selection:
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
DEFAULT = Selection()
