"""This module owns what an HTTP status means where storage answers by HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    PublishConflict,
    RangeNotSatisfiable,
    VersionChanged,
)

#: What each status means by itself; every other one is :class:`BackendUnavailable`.
STATUSES: dict[int, type[AssetStoreError]] = {
    400: BackendCredentials,  # what S3 answers to a HEAD with an expired or malformed token
    401: BackendCredentials,
    403: BackendForbidden,
    404: AssetNotFound,
    405: AssetNotFound,  # S3: a delete marker
    407: BackendCredentials,
    408: BackendTimeout,
    409: PublishConflict,
    410: AssetNotFound,
    412: VersionChanged,
    416: RangeNotSatisfiable,
    429: BackendThrottled,
    503: BackendThrottled,
    504: BackendTimeout,
}


def kind_of_status(status: int) -> type[AssetStoreError]:
    """The class of our tree for a *status* that is no success."""
    return STATUSES.get(status, BackendUnavailable)


def make(
    kind: type[AssetStoreError], path: str, label: str, said: str, headers: Mapping[str, str], size: str = ""
) -> AssetStoreError:
    """An error of *kind*, with the facts that the answer's *headers* (lower-case names) hold."""
    if kind is AssetNotFound:
        return AssetNotFound(path, label)
    message = f"{label} failed on {path!r}: {said}"
    if issubclass(kind, BackendThrottled):
        wait = headers.get("retry-after", "")
        return kind(message, path=path, retry_after_seconds=float(wait) if wait.isdecimal() else None)
    if issubclass(kind, RangeNotSatisfiable):
        size = size or headers.get("content-range", "").rpartition("/")[2]
        return kind(message, path=path, size=int(size) if size.isdecimal() else None)
    return kind(message)
