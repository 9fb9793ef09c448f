"""Which files of a root are assets: patterns that include and exclude, and the names of secrets and leftovers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

from assetstore.errors import SettingsError

#: Names that are no assets unless ``include`` names them: keys and credentials, state and dumps, and what editors,
#: compilers and file managers leave behind. Names with a leading dot are hidden anyway.
DEFAULT_EXCLUDE = (
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"),
    *("credentials.json", "service-account*.json", "client_secret*.json", "*.tfstate", "*.tfstate.*", "*.tfvars"),
    *("*.sql", "*.sql.gz", "*.htpasswd", "*.env", "__pycache__/*", "*.pyc", "*.pyo"),
    *("*~", "*.swp", "*.swo", "#*#", "*.orig", "*.rej", "Thumbs.db", "desktop.ini", "ehthumbs.db"),
)


class Selection:
    """Decides by its logical path whether a file is an asset.

    A pattern is one of ``fnmatch``: without ``/`` it is compared with the name and with each folder's name,
    with ``/`` with the whole path, and ``folder/*`` with everything below *folder*, at any depth. What
    *include* matches is an asset, whatever *exclude* or :data:`DEFAULT_EXCLUDE` say.
    """

    __slots__ = ("_exclude", "_exclude_default", "_include", "allows")

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = _compiled("include", include)
        self._exclude = _compiled("exclude", exclude)
        self._exclude_default = _compiled("exclude", DEFAULT_EXCLUDE)
        #: Whether the file at a logical path is an asset; the last 10,000 paths are remembered.
        self.allows = lru_cache(maxsize=10_000)(self._allows)

    def _allows(self, path: str) -> bool:
        if self._include is not None and self._include.search(path):
            return True
        if self._exclude is not None and self._exclude.search(path):
            return False
        return self._exclude_default is None or not self._exclude_default.search(path)


def _compiled(setting: str, patterns: Iterable[str]) -> re.Pattern[str] | None:
    good = f"give a list of patterns such as {setting}=['*.map', 'drafts/*']"
    if isinstance(patterns, str | bytes) or not isinstance(patterns, Iterable):
        raise SettingsError(f"{setting}={patterns!r} is no list; {good}")
    parts = []
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern or pattern.startswith("/"):
            raise SettingsError(f"{setting} has {pattern!r}; {good}, relative to the root")
        body = translate(pattern.removesuffix("/").removesuffix("/*")).removesuffix(r"\Z").removesuffix(r"\z")
        if pattern.endswith(("/", "/*")):
            parts.append(rf"(?:^|/){body}/")
        elif "/" in pattern:
            parts.append(rf"^{body}$")
        else:
            parts.append(rf"(?:^|/){body.replace('.*', '[^/]*')}(?:/|$)")
    return re.compile("|".join(parts)) if parts else None


#: What a mount has where nothing else is given.
DEFAULT = Selection()
