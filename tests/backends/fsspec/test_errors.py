"""What each exception of a filesystem means."""

from __future__ import annotations

import errno

import pytest

from assetstore.backends.fsspec.info import translate
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    VersionChanged,
)


def named(name: str, cause: Exception | None = None) -> Exception:
    error: Exception = type(name, (Exception,), {})("said the library")
    error.__cause__ = cause
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("x"), AssetNotFound),
        (NotADirectoryError("x"), AssetNotFound),
        (IsADirectoryError("x"), AssetNotFound),
        (KeyError("x"), AssetNotFound),
        (type("SMBOSError", (OSError,), {"errno": errno.ENOENT})("no such file"), AssetNotFound),
        (type("SMBOSError", (OSError,), {"errno": errno.EACCES})("denied"), BackendForbidden),
        (type("HTTPError", (Exception,), {"status_code": 401})("webdav4"), BackendCredentials),
        (
            type("HTTPStatusError", (Exception,), {"response": type("R", (), {"status_code": 503})()})("httpx"),
            BackendThrottled,
        ),
        (PermissionError("Access Denied"), BackendForbidden),
        (caused(PermissionError("no"), Exception("An error occurred (ExpiredToken)")), BackendCredentials),
        (caused(PermissionError("no"), Exception("An error occurred (SignatureDoesNotMatch)")), BackendCredentials),
        (FileExistsError("x"), AssetNotFound),
        (TimeoutError("x"), BackendTimeout),
        (OSError(errno.EBUSY, "Please reduce your request rate."), BackendThrottled),
        (OSError(errno.EIO, "x"), BackendUnavailable),
        (ConnectionRefusedError("x"), BackendUnavailable),
        (named("NoCredentialsError"), BackendCredentials),
        (named("ReadTimeoutError"), BackendTimeout),
        (named("FileExpired"), VersionChanged),
        (RuntimeError("anything"), BackendUnavailable),
    ],
)
def test_each_exception_has_its_class(error: Exception, kind: type[AssetStoreError]) -> None:
    assert type(translate(error, "a.css", "gs://bucket")) is kind
