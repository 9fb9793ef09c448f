"""Which error each exception of an fsspec filesystem is."""

from __future__ import annotations

import errno

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

# FileExistsError: memory raises it for a path through a file.
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, KeyError, UnicodeError)

# Exceptions by name, of libraries beneath fsspec that may not be installed.
_BY_NAME: dict[str, type[AssetStoreError]] = {
    "NoCredentialsError": BackendCredentials,
    "PartialCredentialsError": BackendCredentials,
    "DefaultCredentialsError": BackendCredentials,
    "RefreshError": BackendCredentials,
    "ConnectTimeoutError": BackendTimeout,
    "ReadTimeoutError": BackendTimeout,
    "ServerTimeoutError": BackendTimeout,
    "FileExpired": VersionChanged,
}

# Codes of S3, which s3fs raises as one PermissionError.
_CREDENTIAL_WORDS = ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefresh")


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
    if isinstance(error, PermissionError):
        said = " ".join(map(str, _chain(error)))
        return BackendCredentials if any(word in said for word in _CREDENTIAL_WORDS) else BackendForbidden
    if isinstance(error, TimeoutError):
        return BackendTimeout
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return AssetNotFound
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
