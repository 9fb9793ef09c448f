"""This module owns what a client is told when storage fails: a status, and no word of the cause."""

from __future__ import annotations

import math
from dataclasses import dataclass

from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendError,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    UnsafePath,
    VersionChanged,
)

#: Seconds after which a client may try again, where the storage named none.
RETRY_SECONDS = 5
_MAX_RETRY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said to the client: a status, its phrase, and when to come back."""

    status: int
    phrase: str
    retry_after_seconds: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this failure adds."""
        return {} if self.retry_after_seconds is None else {"retry-after": str(self.retry_after_seconds)}


NOT_FOUND = Failure(404, "Not Found")
BAD_GATEWAY = Failure(502, "Bad Gateway")
UNAVAILABLE = Failure(503, "Service Unavailable", RETRY_SECONDS)
TIMEOUT = Failure(504, "Gateway Timeout", RETRY_SECONDS)

#: The most specific error wins.
TABLE: dict[type[AssetStoreError], Failure] = {
    AssetNotFound: NOT_FOUND,
    UnsafePath: NOT_FOUND,
    # Forbidden is a mistake between us and the storage, not one of the client's.
    BackendForbidden: BAD_GATEWAY,
    BackendCredentials: UNAVAILABLE,
    BackendThrottled: UNAVAILABLE,
    BackendTimeout: TIMEOUT,
    BackendUnavailable: UNAVAILABLE,
    # These two are tried once more before they come to the client.
    VersionChanged: BAD_GATEWAY,
    BodyTruncated: BAD_GATEWAY,
    RangeNotSatisfiable: BAD_GATEWAY,
    BackendError: BAD_GATEWAY,
}

#: Errors that say no more than that the file changed between two looks at it.
CHANGED_MEANWHILE = (VersionChanged, BodyTruncated, RangeNotSatisfiable)


def failure_of(error: AssetStoreError) -> Failure:
    """What a client is told of *error*."""
    found = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), BAD_GATEWAY)
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        wait = min(max(1, math.ceil(error.retry_after_seconds)), _MAX_RETRY_SECONDS)
        return Failure(found.status, found.phrase, wait)
    return found
