"""The table of S3's faults is whole, and each row says what it should."""

from __future__ import annotations

import inspect

import boto3
import botocore.exceptions
import pytest
from botocore.exceptions import ClientError

from assetstore.backends.s3.errors import CODES, EXCEPTIONS, kind_of, kind_of_response, translate, translate_response
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
    UnexpectedResponse,
    VersionChanged,
)


def refused(code: str, status: int, **error: str) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "the provider's own words", **error},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "7"}},
    }
    return ClientError(response, "GetObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, AssetNotFound),
        ("404", 404, AssetNotFound),
        ("NoSuchBucket", 404, BackendUnavailable),
        ("AccessDenied", 403, BackendForbidden),
        ("403", 403, BackendForbidden),
        ("ExpiredToken", 400, BackendCredentials),
        ("400", 400, BackendCredentials),
        ("SignatureDoesNotMatch", 403, BackendCredentials),
        ("InvalidAccessKeyId", 403, BackendCredentials),
        ("RequestTimeTooSkewed", 403, BackendCredentials),
        ("SlowDown", 503, BackendThrottled),
        ("503", 503, BackendThrottled),
        ("InternalError", 500, BackendUnavailable),
        ("500", 500, BackendUnavailable),
        ("RequestTimeout", 400, BackendTimeout),
        ("PreconditionFailed", 412, VersionChanged),
        ("ConditionalRequestConflict", 409, PublishConflict),
        ("InvalidRange", 416, RangeNotSatisfiable),
        ("BadDigest", 400, BodyTruncated),
        ("SomethingNew", 500, BackendUnavailable),
        ("SomethingNew", 418, UnexpectedResponse),
    ],
)
def test_each_code_has_its_class(code: str, status: int, kind: type[AssetStoreError]) -> None:
    assert type(translate(refused(code, status), "a.css", "s3://bucket")) is kind


def test_every_exception_of_botocore_has_a_row_above_it() -> None:
    raised = [
        each
        for _, each in inspect.getmembers(botocore.exceptions, inspect.isclass)
        if issubclass(each, Exception) and not issubclass(each, Warning) and not issubclass(each, ClientError)
    ]
    assert len(raised) > 80
    # What stands outside botocore's own tree and has no row is no fault of a request.
    strangers = {each.__name__ for each in raised if not set(each.__mro__) & set(EXCEPTIONS)}
    assert strangers <= {"MissingServiceIdError", "UndefinedModelAttributeError"}


def test_every_error_in_the_model_of_s3_that_reading_or_writing_meets_has_a_row() -> None:
    model = boto3.client("s3", region_name="us-east-1").meta.service_model
    operations = "GetObject HeadObject PutObject DeleteObject ListObjectsV2 CreateMultipartUpload UploadPart"
    named = {
        shape.metadata.get("error", {}).get("code", shape.name)
        for operation in operations.split()
        for shape in model.operation_model(operation).error_shapes
    }
    assert "NoSuchKey" in named
    assert named - set(CODES) - {"EncryptionTypeMismatch", "InvalidWriteOffset", "TooManyParts"} == set()


def test_timeouts_of_both_kinds_are_timeouts() -> None:
    for name in ("ConnectTimeoutError", "ReadTimeoutError"):
        error = getattr(botocore.exceptions, name)(endpoint_url="http://x")
        assert kind_of(error) is BackendTimeout
    assert kind_of(botocore.exceptions.EndpointConnectionError(endpoint_url="http://x")) is BackendUnavailable
    assert kind_of(RuntimeError("anything")) is BackendUnavailable


def test_the_facts_of_an_answer_are_kept() -> None:
    throttled = translate(refused("SlowDown", 503), "a.css", "s3://bucket")
    assert isinstance(throttled, BackendThrottled)
    assert throttled.retry_after_seconds == 7
    unsatisfied = translate(refused("InvalidRange", 416, ActualObjectSize="19"), "a.css", "s3://bucket")
    assert isinstance(unsatisfied, RangeNotSatisfiable)
    assert unsatisfied.size == 19


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"<Error><Code>NoSuchKey</Code></Error>", AssetNotFound),
        (
            404,
            b"<Error xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Code>NoSuchBucket</Code></Error>",
            BackendUnavailable,
        ),
        (400, b"<Error><Code>ExpiredToken</Code></Error>", BackendCredentials),
        (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", BackendForbidden),
        (403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", BackendCredentials),
        (503, b"", BackendThrottled),
        (500, b"<html>not xml", BackendUnavailable),
        (416, b"<Error><Code>InvalidRange</Code><ActualObjectSize>5</ActualObjectSize></Error>", RangeNotSatisfiable),
    ],
)
def test_a_raw_answer_is_read_like_boto3_would(status: int, body: bytes, kind: type[AssetStoreError]) -> None:
    assert type(translate_response(status, {}, body, "a.css", "s3://bucket")) is kind


def test_codes_have_one_class_each() -> None:
    assert kind_of_response(403, "AllAccessDisabled") is BackendForbidden
    assert all(issubclass(kind, AssetStoreError) for kind in CODES.values())
