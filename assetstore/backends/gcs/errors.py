"""What the exceptions of google-cloud-storage mean in our own tree."""

from __future__ import annotations

import google.auth.exceptions as auth
import requests.exceptions as transport
from google.api_core import exceptions as api
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from assetstore.backends.http.errors import kind_of_status, make
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
)

#: The nearest class above an exception decides; an exception with a status is judged by that first.
EXCEPTIONS: dict[type[BaseException], type[AssetStoreError]] = {
    auth.GoogleAuthError: BackendCredentials,
    auth.TransportError: BackendUnavailable,
    auth.TimeoutError: BackendTimeout,
    transport.RequestException: BackendUnavailable,
    transport.Timeout: BackendTimeout,
    transport.ChunkedEncodingError: BodyTruncated,
    transport.ContentDecodingError: BodyTruncated,
    DataCorruption: BodyTruncated,
    api.RetryError: BackendTimeout,
    TimeoutError: BackendTimeout,
    ConnectionError: BackendUnavailable,
    ValueError: SettingsError,
    TypeError: SettingsError,
}


def kind_of(error: BaseException) -> type[AssetStoreError]:
    """The class of our tree for an exception that the client raised."""
    status = _status(error)
    if status == 400:  # unlike S3, Google answers 401 to bad credentials: a 400 is a request that it cannot serve
        return BackendUnavailable
    if status == 404 and "bucket does not exist" in str(error):
        return BackendUnavailable
    if status:
        return kind_of_status(status)
    for each in type(error).__mro__:
        if each in EXCEPTIONS:
            return EXCEPTIONS[each]
    return BackendUnavailable


def translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one that the client raised; its own message is for the operator's log."""
    response = getattr(error, "response", None)
    headers = {name.lower(): value for name, value in getattr(response, "headers", {}).items()}
    kind = kind_of(error)
    if kind is AssetNotFound:
        return AssetNotFound(path, label)
    return make(kind, path, label, f"{type(error).__name__}: {error}", headers)


def _status(error: BaseException) -> int:
    if isinstance(error, api.GoogleAPICallError):
        return int(error.code or 0)
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return 0
