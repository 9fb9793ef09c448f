"""Which error an HTTP status is, where storage answers by HTTP."""

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
    UnexpectedResponse,
    VersionChanged,
)

#: Statuses by name. A redirect (3xx) is :class:`AssetNotFound`: the name of a folder, most often.
#: Every other 4xx is :class:`UnexpectedResponse`, which says something of one file only, and what
#: is left is :class:`BackendUnavailable`.
STATUSES: dict[int, type[AssetStoreError]] = {
    401: BackendCredentials,
    402: BackendForbidden,
    403: BackendForbidden,
    404: AssetNotFound,
    405: AssetNotFound,  # S3: a delete marker
    407: BackendCredentials,
    408: BackendTimeout,
    409: PublishConflict,
    410: AssetNotFound,
    412: VersionChanged,
    414: AssetNotFound,  # longer than any URL of that server
    416: RangeNotSatisfiable,
    429: BackendThrottled,
    451: BackendForbidden,
    503: BackendThrottled,
    504: BackendTimeout,
}
#: Digits of the largest number that a header may hold: beyond 64 bits it is no size.
MAX_DIGITS = 18


def kind_of_status(status: int) -> type[AssetStoreError]:
    """The class of our tree for a *status* that is no success."""
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return AssetNotFound
    return UnexpectedResponse if 400 <= status < 500 else BackendUnavailable


def make(
    kind: type[AssetStoreError], path: str, label: str, said: str, headers: Mapping[str, str], size: str = ""
) -> AssetStoreError:
    """An error of *kind*, with what the response's *headers* (lower-case names) say."""
    if kind is AssetNotFound:
        location = headers.get("location", "")
        return AssetNotFound(path, label, f"it redirects to {location[:200]!r}" if location else "")
    message = f"{label} failed on {path!r}: {said}"
    if issubclass(kind, BackendThrottled):
        wait = headers.get("retry-after", "")
        return kind(message, path=path, retry_after_seconds=float(wait) if is_size(wait) else None)
    if issubclass(kind, RangeNotSatisfiable):
        size = size or headers.get("content-range", "").rpartition("/")[2]
        return kind(message, path=path, size=int(size) if is_size(size) else None)
    return kind(message)


def is_size(text: str) -> bool:
    """Whether *text* is a decimal number of a sensible length."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
