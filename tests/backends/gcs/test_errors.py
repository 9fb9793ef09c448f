"""The table of Google Cloud Storage's faults is whole, and each row says what it should."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import google.auth.exceptions
import pytest
import requests
import requests.exceptions
from google.api_core import exceptions as api
from google.cloud.storage import exceptions as storage

from assetstore.backends.gcs import EXCEPTIONS, kind_of, translate
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    SettingsError,
    VersionChanged,
)


def answered(status: int, message: str = "the provider's own words", **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    response._content = message.encode()
    response.request = requests.Request("GET", "http://127.0.0.1/b/bucket/o/a.css").prepare()
    return response


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (404, "No such object: bucket/a.css", AssetNotFound),
        (404, "The specified bucket does not exist.", BackendUnavailable),
        (400, "Bad request", BackendUnavailable),
        (401, "Invalid Credentials", BackendCredentials),
        (403, "does not have storage.objects.get access", BackendForbidden),
        (408, "timeout", BackendTimeout),
        (412, "Precondition Failed", VersionChanged),
        (416, "Requested range not satisfiable", RangeNotSatisfiable),
        (429, "rateLimitExceeded", BackendThrottled),
        (500, "backendError", BackendUnavailable),
        (503, "backendError", BackendThrottled),
        (504, "Gateway Timeout", BackendTimeout),
    ],
)
def test_each_status_has_its_class(status: int, message: str, kind: type[AssetStoreError]) -> None:
    response = answered(status, message)
    assert type(translate(api.from_http_status(status, message, response=response), "a.css", "gs://bucket")) is kind
    assert type(translate(storage.InvalidResponse(response, message), "a.css", "gs://bucket")) is kind


def test_a_throttled_answer_says_for_how_long() -> None:
    error = translate(api.TooManyRequests("slow down", response=answered(429, retry_after="7")), "a", "gs://bucket")
    assert isinstance(error, BackendThrottled)
    assert error.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (google.auth.exceptions.RefreshError("expired"), BackendCredentials),
        (google.auth.exceptions.DefaultCredentialsError("none"), BackendCredentials),
        (google.auth.exceptions.TransportError("unreachable"), BackendUnavailable),
        (requests.exceptions.ConnectTimeout(), BackendTimeout),
        (requests.exceptions.ReadTimeout(), BackendTimeout),
        (requests.exceptions.ConnectionError(), BackendUnavailable),
        (requests.exceptions.ChunkedEncodingError(), BodyTruncated),
        (storage.DataCorruption(None, "checksum"), BodyTruncated),
        (ConnectionResetError(), BackendUnavailable),
        (TimeoutError(), BackendTimeout),
        (ValueError("bucket name"), SettingsError),
        (RuntimeError("unforeseen"), BackendUnavailable),
    ],
)
def test_each_exception_has_its_class(error: Exception, kind: type[AssetStoreError]) -> None:
    assert kind_of(error) is kind


@pytest.mark.parametrize("module", [google.auth.exceptions, requests.exceptions], ids=lambda module: module.__name__)
def test_every_exception_of_the_libraries_has_a_row_above_it(module: object) -> None:
    raised = [each for _, each in inspect.getmembers(module, inspect.isclass) if issubclass(each, Exception)]
    own = [each for each in raised if not issubclass(each, Warning) and each.__module__ == module.__name__]  # type: ignore[attr-defined]
    assert len(own) > 10
    assert not {each.__name__ for each in own if not set(each.__mro__) & set(EXCEPTIONS)}


def test_every_status_of_the_client_is_an_error_of_ours() -> None:
    for status in (each for each in HTTPStatus if each >= 300):
        error = translate(api.from_http_status(status, "words", response=answered(status)), "a.css", "gs://bucket")
        assert isinstance(error, AssetStoreError)
