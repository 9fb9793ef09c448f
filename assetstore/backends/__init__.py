"""Which backend a root names: a path, a URL, or a backend itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from assetstore.backends.base import Backend
from assetstore.backends.local.backend import LocalBackend
from assetstore.errors import SettingsError

# Two letters at least, so that C:\assets stays a path.
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)(?:://|::)")


def _filesystem(url: str, options: Mapping[str, Any]) -> Backend:
    from assetstore.backends.fsspec.backend import open_url

    return open_url(url, options)


def _s3(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.s3.backend import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs boto3; run: pip install 'assetstore[s3]'") from error
    return open_url(url, options)


def _http(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.http.backend import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs urllib3; run: pip install 'assetstore[http]'") from error
    return open_url(url, options)


def _gcs(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.gcs.backend import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs google-cloud-storage; run: pip install 'assetstore[gcs]'") from error
    return open_url(url, options)


def _azure(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.azure.backend import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs azure-storage-blob; run: pip install 'assetstore[azure]'") from error
    return open_url(url, options)


#: How the schemes with a backend of their own are opened; every other scheme is fsspec's.
#: Each opener imports its library itself, so that nothing is imported that is not used.
OPENERS: dict[str, Callable[[str, Mapping[str, Any]], Backend]] = {
    "s3": _s3,
    "s3a": _s3,
    "gs": _gcs,
    "gcs": _gcs,
    "az": _azure,
    "abfs": _azure,
    "abfss": _azure,
    "http": _http,
    "https": _http,
}


def open_backend(
    root: str | os.PathLike[str] | Backend,
    storage_options: Mapping[str, Any] | None = None,
    *,
    must_exist: bool = True,
) -> Backend:
    """The backend that *root* names.

    *root* is a directory, an fsspec URL, or a backend, which is returned as it is. *storage_options*
    go to what a URL names. With *must_exist* false, a directory may be made later.

    Raises:
        SettingsError: the root is missing or malformed, its scheme is unknown, or its library is not installed.
    """
    if isinstance(root, Backend):
        if storage_options:
            raise SettingsError(f"storage_options go with a URL; {root!r} is already opened")
        return root
    if not isinstance(root, str | os.PathLike):
        raise SettingsError(f"root must be a directory, a URL or a backend, not {root!r}")
    spelled = os.fspath(root)
    if not spelled:
        raise SettingsError("root is empty; give a directory ('assets') or a URL ('s3://bucket/prefix')")
    match = _SCHEME.match(spelled)
    if match is None or match[1].lower() == "file":
        if storage_options:
            raise SettingsError(f"root {spelled!r} is a directory, which takes no storage_options")
        return LocalBackend(spelled.removeprefix("file://"), must_exist=must_exist)
    return OPENERS.get(match[1].lower(), _filesystem)(spelled, storage_options or {})
