"""Which backend a root names: a path, a URL, or a backend itself."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from assetstore.backends.base import Backend
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.objects import check_names
from assetstore.errors import SettingsError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_log = logging.getLogger("assetstore")

# Two letters at least, so that C:\assets stays a path.
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)(?:://|::)")


def _filesystem(url: str, options: Mapping[str, Any], *, must_exist: bool) -> Backend:
    from assetstore.backends.fsspec.backend import open_url

    return open_url(url, options, must_exist=must_exist)


def _s3(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.s3.backend import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs boto3; run: pip install 'assetstore[s3]'") from error
    return open_url(url, options)


def _http(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.http import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs urllib3; run: pip install 'assetstore[http]'") from error
    return open_url(url, options)


def _gcs(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.gcs import open_url
    except ImportError as error:
        raise SettingsError(f"root {url!r} needs google-cloud-storage; run: pip install 'assetstore[gcs]'") from error
    return open_url(url, options)


def _azure(url: str, options: Mapping[str, Any]) -> Backend:
    try:
        from assetstore.backends.azure import open_url
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


#: What a mount can be made of. A filesystem is one of fsspec's; with a path, what is beneath it.
Root: TypeAlias = "str | os.PathLike[str] | Backend | AbstractFileSystem | tuple[AbstractFileSystem, str]"


def open_backend(
    root: Root,
    storage_options: Mapping[str, Any] | None = None,
    *,
    must_exist: bool = True,
    follow_symlinks: bool = False,
) -> Backend:
    """The backend that *root* names.

    Args:
        root: a directory, an fsspec URL, a ``UPath``, an fsspec filesystem, a pair of a filesystem and
            a path in it, or a backend, which is returned as it is.
        storage_options: for what a URL names. ``{"backend": "fsspec"}`` reads a scheme that has a
            backend of its own (``s3``, ``gs``, ``az``, ``http``) through fsspec's filesystem instead,
            which gets the other options as they are.
        must_exist: whether a missing directory is an error now; a missing folder of an fsspec
            filesystem is one when it is listed.
        follow_symlinks: whether links in a directory may lead out of it.

    Raises:
        SettingsError: the root is missing or malformed, its scheme is unknown, or its library is not installed.
    """
    if isinstance(root, Backend):
        if storage_options:
            raise SettingsError(f"storage_options go with a URL; {root!r} is already opened")
        return root
    if (opened := _filesystem_and_path(root)) is not None:
        if storage_options:
            raise SettingsError("storage_options go with a URL; the filesystem is already opened")
        from assetstore.backends.fsspec.backend import backend_of

        return backend_of(*opened, must_exist=must_exist)
    if _is_upath(root):
        return _of_upath(root, storage_options, must_exist)
    if not isinstance(root, str | os.PathLike):
        raise SettingsError(
            f"root must be a directory, a URL, an fsspec filesystem or a backend, not {type(root).__name__}"
        )
    spelled = os.fspath(root)
    if not spelled:
        raise SettingsError("root is empty; give a directory ('assets') or a URL ('s3://bucket/prefix')")
    match = _SCHEME.match(spelled)
    options = dict(storage_options or {})
    if match is None or match[1].lower() == "file":
        check_names(options)  # idle here, so that one call serves a directory and a bucket
        directory = spelled.removeprefix("file://")
        return LocalBackend(directory, must_exist=must_exist, follow_symlinks=follow_symlinks)
    through = options.pop("backend", "native")
    if through not in {"native", "fsspec"}:
        raise SettingsError(f"storage_options['backend'] is {through!r}; give 'native' or 'fsspec'")
    scheme = match[1].lower()
    if scheme in OPENERS and through == "native":
        user, at, _ = spelled.partition("://")[2].partition("/")[0].rpartition("@")
        # An Azure URL has its container there: abfs://container@account.dfs.core.windows.net/
        if at and (":" in user or scheme not in {"az", "abfs", "abfss"}):
            raise SettingsError(
                f"root {spelled!r} has credentials in its URL, where logs would show them; give them as storage_options"
            )
        return OPENERS[scheme](spelled, options)
    return _filesystem(spelled, options, must_exist=must_exist)


def _filesystem_and_path(root: object) -> tuple[Any, str] | None:
    """The filesystem that *root* is, and the path in it; ``None`` if it is something else."""
    filesystem, path = root if isinstance(root, tuple) and len(root) == 2 else (root, "")
    if isinstance(path, str) and hasattr(filesystem, "_strip_protocol") and hasattr(filesystem, "find"):
        return filesystem, path
    return None


def _is_upath(root: object) -> bool:
    return hasattr(root, "fs") and hasattr(root, "storage_options") and hasattr(root, "protocol")


def _of_upath(root: Any, storage_options: Mapping[str, Any] | None, must_exist: bool) -> Backend:
    """A ``UPath``: its URL with its options, natively where a native backend knows them; else its filesystem."""
    if storage_options:
        raise SettingsError("storage_options go with a URL; a UPath has its own")
    if root.protocol in OPENERS:
        try:
            return open_backend(str(root), dict(root.storage_options), must_exist=must_exist)
        except SettingsError:
            _log.info("%s is read through its own filesystem: its options are fsspec's", root.protocol)
    from assetstore.backends.fsspec.backend import backend_of

    return backend_of(root.fs, root.path, must_exist=must_exist)
