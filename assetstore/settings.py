"""The settings: typed, checked, frozen, read once.

Each comes from a keyword, else from the application's own configuration (a mapping, or any object
with attributes; what else is in it is left alone), else from the environment, else from the default below.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

from assetstore.errors import SettingsError
from assetstore.mounts.urls import MountUrl

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


class SettingValues(TypedDict, total=False):
    """The settings as keywords of :class:`~assetstore.store.AssetStore`; see :class:`Settings`."""

    ASSETS_URL: str
    STATIC_X_SENDFILE_HEADER: str
    STATIC_X_SENDFILE_SERVER: str
    STATIC_X_SENDFILE_MAP: Mapping[str, str]
    IMPORT_MAP: Mapping[str, Any] | str
    ASSETS_STRICT: bool
    ASSETS_INTEGRITY: bool | None
    ASSETS_MEMORY_BYTES: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What :class:`~assetstore.store.AssetStore` was configured with."""

    #: Where assets live for browsers: a path prefix, or a full URL to name a CDN.
    ASSETS_URL: str = "/assets/"
    #: ``X-Accel-Redirect`` or ``X-Sendfile`` where a proxy in front sends the bytes; empty otherwise.
    STATIC_X_SENDFILE_HEADER: str = ""
    #: Which proxy that is, since each reads unusual names in its own way: ``nginx``, ``caddy``,
    #: ``apache`` or ``lighttpd``; empty sends only what all that know the header read alike.
    STATIC_X_SENDFILE_SERVER: str = ""
    #: For X-Accel-Redirect: directory to the prefix of the proxy's internal location. In the
    #: environment: JSON. A mount that is not in it is at ``/_accel/<name>/``.
    STATIC_X_SENDFILE_MAP: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Import map: bare specifier to asset path, absolute path or full URL. In the environment:
    #: JSON, or the path of a ``.json`` file.
    IMPORT_MAP: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    #: Whether ``url_for`` raises for a missing file (tests, CI) instead of warning once.
    ASSETS_STRICT: bool = False
    #: Whether tags and the import map carry ``integrity``. ``None``: where a mount's URLs name
    #: another host, and where names come from a manifest; so a file that is being edited has none.
    ASSETS_INTEGRITY: bool | None = None
    #: Bytes of memory for the files that are requested most, in each process; 0 reads every file anew.
    ASSETS_MEMORY_BYTES: int = 64 * 1024 * 1024

    def below_assets_url(self, url: str | None) -> tuple[str, str | None]:
        """The URL of a mount at *url*, and the origin's path for it where it is relative to :attr:`ASSETS_URL`.

        ``None`` is ``ASSETS_URL`` itself, ``media/`` a path below it, on the origin and on a CDN alike.
        """
        base = self.ASSETS_URL
        if url is None or url == base:
            return base, None
        if not isinstance(url, str) or not url.strip():
            return url, None
        relative = url.removeprefix(base) if "://" in base else url
        if relative.startswith("/") or "://" in relative:
            return url, None
        return base + relative, MountUrl.parse(base).origin + relative

    @classmethod
    def load(
        cls,
        source: object = None,
        keywords: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Read the settings; keywords win over *source*, which wins over the environment.

        Args:
            source: a mapping, Starlette's ``Config``, or any object with attributes: a class, a module, an instance of
                pydantic's ``BaseSettings``.

        Raises:
            SettingsError: an unknown keyword, a key that looks misspelt, or a malformed value.
        """
        names = [each.name for each in fields(cls)]
        keywords, mapping = keywords or {}, _mapping_of(source, names)
        for keyword in keywords:
            if keyword not in names:
                raise SettingsError(f"unknown setting {keyword!r}; the settings are {', '.join(names)}")
        for key in mapping:
            _refuse_misspelling(key, names)
        sources = (keywords, mapping, os.environ if environ is None else environ)
        given = {name: source[name] for name in names for source in reversed(sources) if name in source}
        return cls(**{name: _CHECKS[name](value) for name, value in given.items()})


def _mapping_of(source: object, names: list[str]) -> Mapping[str, Any]:
    """What *source* says of the settings.

    Raises:
        SettingsError: it is nothing that holds settings.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str | bytes | int | float | list | tuple | set):
        raise SettingsError(
            f"settings {source!r} are no mapping and no object with attributes; give {{'ASSETS_URL': …}}"
        )
    given = {name: getattr(source, name) for name in names if hasattr(source, name)}
    # Starlette's Config is called for a value, and knows the environment and a file.
    get = source if callable(source) and hasattr(source, "environ") and hasattr(source, "file_values") else None
    if get is not None:
        missing = object()
        given = {name: value for name in names if (value := get(name, default=missing)) is not missing}
    for key in dir(source):
        if key.isupper():
            _refuse_misspelling(key, names)
    return given


def _refuse_misspelling(key: object, names: list[str]) -> None:
    if isinstance(key, str) and key not in names:
        import difflib

        close = difflib.get_close_matches(key, names, n=1, cutoff=0.88)
        if close:
            raise SettingsError(f"unknown setting {key!r}; did you mean {close[0]!r}?")


def _assets_url(value: object) -> str:
    if not isinstance(value, str):
        raise SettingsError(
            f"ASSETS_URL={value!r} is no text; a good value is '/assets/' or 'https://cdn.example.com/'"
        )
    first = value.strip("/").partition("/")[0]
    if "://" not in value and not value.startswith("/") and "." in first.strip("."):
        raise SettingsError(
            f"ASSETS_URL={value!r} has no scheme; write 'https://{value.rstrip('/')}/', or '/{value.strip('/')}/'"
        )
    try:
        return MountUrl.parse(value).base
    except SettingsError as error:
        raise SettingsError(f"ASSETS_URL: {error}") from None


def _sendfile_header(value: object) -> str:
    known = {"x-accel-redirect": "X-Accel-Redirect", "x-sendfile": "X-Sendfile", "": ""}
    header = known.get(value.strip().lower()) if isinstance(value, str) else "" if value is None else None
    if header is None:
        raise SettingsError(
            f"STATIC_X_SENDFILE_HEADER={value!r} is not known; "
            "give 'X-Accel-Redirect' (nginx, Caddy), 'X-Sendfile' (Apache, Lighttpd) or ''"
        )
    return header


def _sendfile_server(value: object) -> str:
    known = {"", "nginx", "caddy", "apache", "lighttpd"}
    server = value.strip().lower() if isinstance(value, str) else "" if value is None else None
    if server is None or server not in known:
        raise SettingsError(
            f"STATIC_X_SENDFILE_SERVER={value!r} is not known; give 'nginx', 'caddy', 'apache', 'lighttpd' or ''"
        )
    return server


def _sendfile_map(value: object) -> Mapping[str, str]:
    good = """a good value is {"/srv/site/assets": "/_accel/assets/"}"""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError as error:
            raise SettingsError(f"STATIC_X_SENDFILE_MAP cannot be read as JSON ({error}); {good}") from None
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise SettingsError(f"STATIC_X_SENDFILE_MAP={value!r} is no mapping of text to text; {good}")
    return MappingProxyType(dict(value))


def _import_map(value: object) -> Mapping[str, Any]:
    good = """a good value is {"@hotwired/turbo": "js/turbo.js"}"""
    if isinstance(value, str):
        try:
            value = json.loads(Path(value).read_text("utf-8") if value.strip().endswith(".json") else value or "{}")
        except (OSError, ValueError) as error:
            raise SettingsError(f"IMPORT_MAP cannot be read as JSON ({error}); {good}") from None
    if not isinstance(value, Mapping):
        raise SettingsError(f"IMPORT_MAP={value!r} is no mapping; {good}")
    return MappingProxyType(dict(value))


def _flag(name: str) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise SettingsError(f"{name}={value!r} is neither true nor false; give 1 or 0")

    return read


def _flag_or_none(name: str) -> Callable[[object], bool | None]:
    read = _flag(name)
    return lambda value: None if value is None else read(value)


def _memory_bytes(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit():
        raise SettingsError(f"ASSETS_MEMORY_BYTES={value!r} is no number of bytes; give 67108864 for 64 MB, 0 for none")
    return int(text)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "ASSETS_URL": _assets_url,
    "STATIC_X_SENDFILE_HEADER": _sendfile_header,
    "STATIC_X_SENDFILE_SERVER": _sendfile_server,
    "STATIC_X_SENDFILE_MAP": _sendfile_map,
    "IMPORT_MAP": _import_map,
    "ASSETS_STRICT": _flag("ASSETS_STRICT"),
    "ASSETS_INTEGRITY": _flag_or_none("ASSETS_INTEGRITY"),
    "ASSETS_MEMORY_BYTES": _memory_bytes,
}
