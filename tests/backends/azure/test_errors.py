"""The table of Azure Blob Storage's faults is whole, and each row says what it should."""

from __future__ import annotations

import inspect
from typing import Any

import azure.core.exceptions as azure
import pytest
from azure.storage.blob import StorageErrorCode

from assetstore.backends.azure import EXCEPTIONS, kind_of, translate
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    RangeNotSatisfiable,
    VersionChanged,
)


class Answered:
    """As much of a response as an exception looks at."""

    def __init__(self, status: int, code: str = "", **headers: str) -> None:
        self.status_code = status
        self.reason = "because"
        self.headers = {"x-ms-error-code": code} | {name.replace("_", "-"): each for name, each in headers.items()}

    def text(self, encoding: str | None = None) -> str:
        return ""


def refused(status: int, code: str, **headers: str) -> azure.HttpResponseError:
    response: Any = Answered(status, code, **headers)
    return azure.HttpResponseError("the provider's own words", response)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "BlobNotFound", AssetNotFound),
        (404, "", AssetNotFound),
        (404, "ContainerNotFound", BackendUnavailable),
        (403, "AuthenticationFailed", BackendCredentials),
        (403, "AuthorizationPermissionMismatch", BackendForbidden),
        (401, "NoAuthenticationInformation", BackendCredentials),
        (400, "InvalidResourceName", BackendUnavailable),
        (400, "Md5Mismatch", BodyTruncated),
        (400, "SomethingNew", BackendUnavailable),
        (409, "BlobAlreadyExists", PublishConflict),
        (412, "ConditionNotMet", VersionChanged),
        (416, "InvalidRange", RangeNotSatisfiable),
        (429, "", BackendThrottled),
        (503, "ServerBusy", BackendThrottled),
        (500, "OperationTimedOut", BackendTimeout),
        (500, "InternalError", BackendUnavailable),
    ],
)
def test_each_code_has_its_class(status: int, code: str, kind: type[AssetStoreError]) -> None:
    assert type(translate(refused(status, code), "a.css", "az://container")) is kind


def test_a_throttled_answer_says_for_how_long() -> None:
    error = translate(refused(503, "ServerBusy", retry_after="7"), "a.css", "az://container")
    assert isinstance(error, BackendThrottled)
    assert error.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (azure.ServiceRequestError("unreachable"), BackendUnavailable),
        (azure.ServiceRequestTimeoutError("slow"), BackendTimeout),
        (azure.ServiceResponseTimeoutError("slow"), BackendTimeout),
        (azure.ServiceResponseError("broke off"), BackendUnavailable),
        (azure.IncompleteReadError("broke off"), BodyTruncated),
        (azure.ClientAuthenticationError("no token"), BackendCredentials),
        (ConnectionResetError(), BackendUnavailable),
        (RuntimeError("unforeseen"), BackendUnavailable),
    ],
)
def test_each_exception_has_its_class(error: Exception, kind: type[AssetStoreError]) -> None:
    assert kind_of(error) is kind


def test_every_exception_of_the_library_has_a_row_above_it() -> None:
    raised = [each for _, each in inspect.getmembers(azure, inspect.isclass) if issubclass(each, Exception)]
    assert len(raised) > 15
    assert not {each.__name__ for each in raised if not set(each.__mro__) & set(EXCEPTIONS)} - {"ODataV4Error"}


def test_every_code_of_the_service_is_an_error_of_ours() -> None:
    for code in StorageErrorCode:
        assert isinstance(translate(refused(400, code.value), "a.css", "az://container"), AssetStoreError)
