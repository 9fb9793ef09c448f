"""What the exceptions of azure-storage-blob mean in our own tree."""

from __future__ import annotations

import azure.core.exceptions as azure

from assetstore.backends.http.errors import kind_of_status, make
from assetstore.errors import (
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
)

#: By error code, where the status alone would be judged wrongly (Blob service REST API, "Status and error codes").
CODES: dict[str, type[AssetStoreError]] = {
    "ContainerNotFound": BackendUnavailable,
    "ContainerBeingDeleted": BackendUnavailable,
    "ContainerDisabled": BackendUnavailable,
    "AccountIsDisabled": BackendForbidden,
    "AuthenticationFailed": BackendCredentials,  # a 403
    "InvalidAuthenticationInfo": BackendCredentials,
    "NoAuthenticationInformation": BackendCredentials,
    "ServerBusy": BackendThrottled,
    "OperationTimedOut": BackendTimeout,
    "InternalError": BackendUnavailable,
    "Md5Mismatch": BodyTruncated,
    "InvalidResourceName": BackendUnavailable,
    "InvalidMetadata": BackendUnavailable,
    "InvalidInput": BackendUnavailable,
    "InvalidHeaderValue": BackendUnavailable,
}

#: The nearest class above an exception decides; an answer with a status is judged by code and status first.
EXCEPTIONS: dict[type[BaseException], type[AssetStoreError]] = {
    azure.AzureError: BackendUnavailable,
    azure.ServiceRequestTimeoutError: BackendTimeout,
    azure.ServiceResponseTimeoutError: BackendTimeout,
    azure.IncompleteReadError: BodyTruncated,
    azure.DecodeError: BodyTruncated,
    azure.ClientAuthenticationError: BackendCredentials,
    TimeoutError: BackendTimeout,
    ConnectionError: BackendUnavailable,
    ValueError: SettingsError,
    TypeError: SettingsError,
}


def kind_of(error: BaseException) -> type[AssetStoreError]:
    """The class of our tree for an exception that the client raised."""
    if isinstance(error, azure.HttpResponseError) and error.status_code:
        code = _code(error)
        if code in CODES:
            return CODES[code]
        return BackendUnavailable if error.status_code == 400 else kind_of_status(error.status_code)
    for each in type(error).__mro__:
        if each in EXCEPTIONS:
            return EXCEPTIONS[each]
    return BackendUnavailable


def translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one that the client raised; its own message is for the operator's log."""
    response = getattr(error, "response", None)
    headers = {name.lower(): value for name, value in getattr(response, "headers", {}).items()}
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if isinstance(error, azure.HttpResponseError) and (code := _code(error)):
        said = f"{error.status_code} {code}"
    return make(kind_of(error), path, label, said, headers)


def _code(error: azure.HttpResponseError) -> str:
    """The service's own code: of the body, or of the header where an answer to HEAD has no body."""
    code = getattr(error, "error_code", None)
    if code is None:
        code = getattr(error.response, "headers", {}).get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")
