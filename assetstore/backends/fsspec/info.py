"""What each fsspec filesystem reports: modified time and validator in its ``info``, and its exceptions.

There is no agreed name for anything but ``name``, ``size`` and ``type``: the tables below say
under which keys the modified time and the validator appear, and how each is spelled.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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
from assetstore.util.dates import datetime_ns, parse_storage_date

# FileExistsError: memory raises it for a path through a file.
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, KeyError, UnicodeError)

_MISSING_NUMBERS = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}

# Exceptions by name, of libraries beneath fsspec that may not be installed.
_BY_NAME: dict[str, type[AssetStoreError]] = {
    "NoCredentialsError": BackendCredentials,
    "PartialCredentialsError": BackendCredentials,
    "DefaultCredentialsError": BackendCredentials,
    "RefreshError": BackendCredentials,
    "ConnectTimeoutError": BackendTimeout,
    "ReadTimeoutError": BackendTimeout,
    "ServerTimeoutError": BackendTimeout,
    "TimeoutException": BackendTimeout,  # httpx, of webdav
    "AuthenticationException": BackendCredentials,  # paramiko
    "SMBAuthenticationError": BackendCredentials,
    "LogonFailure": BackendCredentials,
    "FileExpired": VersionChanged,
}

# Codes of S3, which s3fs raises as one PermissionError.
_CREDENTIAL_WORDS = ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefresh")


# Statuses of filesystems that speak HTTP.
_BY_STATUS: dict[object, type[AssetStoreError]] = {
    401: BackendCredentials,
    403: BackendForbidden,
    404: AssetNotFound,
    408: BackendTimeout,
    429: BackendThrottled,
    503: BackendThrottled,
    504: BackendTimeout,
}


def translate(error: Exception, path: str, label: str) -> AssetStoreError:
    """Our error for *error* of a filesystem."""
    kind = kind_of(error)
    if kind is AssetNotFound:
        return AssetNotFound(path, label)
    said = f"{type(error).__name__}: {error}"
    return kind(f"{label} failed on {path!r}: {said}")


def kind_of(error: Exception) -> type[AssetStoreError]:
    """The class in our tree that *error* belongs to."""
    for cause in _chain(error):
        for name in (each.__name__ for each in type(cause).__mro__):
            if name in _BY_NAME:
                return _BY_NAME[name]
    if isinstance(error, _MISSING):
        return AssetNotFound
    for each in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            if (status := getattr(each, name, None)) in _BY_STATUS:
                return _BY_STATUS[status]
    if isinstance(error, PermissionError):
        said = " ".join(map(str, _chain(error)))
        return BackendCredentials if any(word in said for word in _CREDENTIAL_WORDS) else BackendForbidden
    if isinstance(error, TimeoutError):
        return BackendTimeout
    if isinstance(error, OSError) and error.errno in _MISSING_NUMBERS:  # SMB's errors have the number, not the class
        return AssetNotFound
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM}:
        return BackendForbidden
    if isinstance(error, OSError) and error.errno == errno.EBUSY:  # s3fs: SlowDown
        return BackendThrottled
    return BackendUnavailable


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return chain


def _from_number(value: float) -> int:
    return int(Decimal(str(value)) * 1_000_000_000)


def _from_tuple(value: tuple[int, ...]) -> int:
    year, month, day, hour, minute, second = value[:6]
    return datetime_ns(datetime(year, month, day, hour, minute, second, tzinfo=UTC))


# The first key that is present is used; beside it, the filesystems that report it.
_TIME_KEYS = (
    "mtime",  # local, sftp, smb, tar, libarchive, gcs
    "LastModified",  # s3
    "last_modified",  # azure, obstore
    "modified",  # webdav
    "Last-Modified",  # http
    "updated",  # gcs
    "modify",  # ftp: 20240131120000
    "modificationTime",  # webhdfs: milliseconds
    "date_time",  # zip: a tuple in the packer's own time, taken as UTC so that every machine agrees
)
_VALIDATOR_KEYS = (
    "ETag",  # s3, http
    "etag",  # azure, gcs, webdav
    "e_tag",  # obstore
    "sha",  # github, git
    "CRC",  # zip
)


def mtime_ns(info: Mapping[str, Any]) -> int | None:
    """The modified time that *info* reports, in whole nanoseconds since the epoch; ``None`` for none."""
    for key in _TIME_KEYS:
        if (value := info.get(key)) is None:
            continue
        try:
            return _SPELLINGS.get(key, spelled)(value)
        except (ValueError, TypeError, ArithmeticError):
            return None
    return None


def spelled(value: object) -> int | None:
    """*value* as nanoseconds since the epoch, by its type; ``None`` for a type that is no time."""
    if isinstance(value, datetime):
        return datetime_ns(value)
    if isinstance(value, int | float):
        return _from_number(value)
    if isinstance(value, str):
        return parse_storage_date(value)
    if isinstance(value, tuple):
        return _from_tuple(value)
    return None


_SPELLINGS: dict[str, Callable[[Any], int | None]] = {
    "modify": lambda value: datetime_ns(datetime.strptime(value[:14], "%Y%m%d%H%M%S")),
    "modificationTime": lambda value: int(value) * 1_000_000,
}


def validator_in(info: Mapping[str, Any]) -> str | None:
    """The strong validator that *info* reports, unquoted; a weak one is none."""
    for key in _VALIDATOR_KEYS:
        value = info.get(key)
        if isinstance(value, int):
            return f"{value:08x}"
        if isinstance(value, str) and value and not value.startswith("W/"):
            return value.strip('"')
    return None
