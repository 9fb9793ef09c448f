"""What an HTTP status means where storage answers by HTTP."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from assetstore.backends.http import STATUSES, kind_of_status, make
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendError,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    PublishConflict,
    RangeNotSatisfiable,
    UnexpectedResponse,
    VersionChanged,
)


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        pytest.param([404, 405, 410, 414], AssetNotFound, id="missing"),
        pytest.param([402, 403, 451], BackendForbidden, id="forbidden"),
        pytest.param([401, 407], BackendCredentials, id="credentials"),
        pytest.param([429, 503], BackendThrottled, id="too many requests"),
        pytest.param([408, 504], BackendTimeout, id="too late"),
        pytest.param([412], VersionChanged, id="another version"),
        pytest.param([416], RangeNotSatisfiable, id="outside of the file"),
        pytest.param([301, 302, 308], AssetNotFound, id="a redirect, as for the name of a folder"),
        pytest.param([400, 418, 421, 426], UnexpectedResponse, id="about this file only"),
        pytest.param([409], PublishConflict, id="somebody else writes"),
        pytest.param([500, 502, 599, 0], BackendUnavailable, id="whatever else"),
    ],
)
def test_each_status_has_its_class(statuses: list[int], kind: type[AssetStoreError]) -> None:
    assert [kind_of_status(status) for status in statuses] == [kind] * len(statuses)


def test_missing_is_said_by_no_fault_of_the_server() -> None:
    assert all(kind_of_status(status) is not AssetNotFound for status in HTTPStatus if status >= 500)


@pytest.mark.parametrize("kind", sorted({*STATUSES.values(), BackendUnavailable}, key=lambda each: each.__name__))
def test_each_class_can_be_made_of_an_answer_without_headers(kind: type[AssetStoreError]) -> None:
    error = make(kind, "a.css", "https://cdn.example.com", "500 Internal Server Error", {})
    assert type(error) is kind
    if isinstance(error, BackendError):
        assert str(error) == "https://cdn.example.com failed on 'a.css': 500 Internal Server Error"


def test_a_missing_file_says_where_and_not_what_the_storage_said() -> None:
    error = make(AssetNotFound, "a.css", "https://cdn.example.com", "the provider's own words", {})
    assert str(error) == "no asset 'a.css' in https://cdn.example.com"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, id="a date is not waited for"),
        pytest.param({"retry-after": "9" * 5000}, None, id="a number that is none"),
        pytest.param({"retry-after": "-1"}, None, id="no number of seconds"),
        pytest.param({}, None, id="nothing was said"),
    ],
)
def test_how_long_to_wait_is_what_the_storage_said(header: dict[str, str], seconds: float | None) -> None:
    error = make(BackendThrottled, "a.css", "s3://bucket", "SlowDown", header)
    assert isinstance(error, BackendThrottled)
    assert (error.retry_after_seconds, error.path) == (seconds, "a.css")


@pytest.mark.parametrize(
    ("headers", "told", "size"),
    [
        pytest.param({"content-range": "bytes */1000"}, "", 1000, id="the header knows"),
        pytest.param({"content-range": "bytes */1000"}, "2000", 2000, id="the body knows better"),
        pytest.param({"content-range": "bytes */*"}, "", None, id="the server does not know"),
        pytest.param({}, "many", None, id="no number is no size"),
    ],
)
def test_a_range_outside_of_the_file_tells_its_size(headers: dict[str, str], told: str, size: int | None) -> None:
    error = make(RangeNotSatisfiable, "a.css", "s3://bucket", "InvalidRange", headers, told)
    assert isinstance(error, RangeNotSatisfiable)
    assert (error.size, error.path) == (size, "a.css")
