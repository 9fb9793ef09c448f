"""Which error each fault of S3 is: one table for codes, statuses and exceptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

import botocore.exceptions as boto

from assetstore.backends.http import kind_of_status, make
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
    SettingsError,
    UnexpectedResponse,
    VersionChanged,
)

# Codes of S3 and compatible services by our class (S3 API reference, "Error Responses").
_CODES_OF: dict[type[AssetStoreError], str] = {
    AssetNotFound: "NoSuchKey NoSuchVersion NotFound MethodNotAllowed KeyTooLongError",
    BackendForbidden: (
        "AccessDenied Forbidden AllAccessDisabled AccountProblem InvalidObjectState InvalidPayer NotSignedUp "
        "CrossLocationLoggingProhibited InvalidSecurity UnauthorizedAccess RestrictedAccess AccessControlListNotSupported"
    ),
    BackendCredentials: (
        "ExpiredToken ExpiredTokenException TokenRefreshRequired InvalidToken InvalidAccessKeyId SignatureDoesNotMatch "
        "RequestTimeTooSkewed RequestExpired AuthorizationHeaderMalformed AuthorizationQueryParametersError "
        "CredentialsNotSupported MissingSecurityHeader MissingAuthenticationToken UnrecognizedClientException "
        "InvalidClientTokenId AuthFailure Unauthorized KMS.DisabledException"
    ),
    BackendThrottled: (
        "SlowDown Throttling ThrottlingException ThrottledException Throttled RequestThrottled RequestThrottledException "
        "TooManyRequests TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded "
        "PriorRequestNotComplete EC2ThrottledException LimitExceededException ProvisionedThroughputExceededException "
        "TransactionInProgressException"
    ),
    BackendTimeout: "RequestTimeout RequestTimeoutException GatewayTimeout",
    RangeNotSatisfiable: "InvalidRange RequestedRangeNotSatisfiable",
    VersionChanged: "PreconditionFailed",
    PublishConflict: "ConditionalRequestConflict OperationAborted",
    BodyTruncated: (
        "BadDigest InvalidDigest IncompleteBody XAmzContentChecksumMismatch XAmzContentSHA256Mismatch "
        "MissingContentLength EntityTooSmall InvalidPart InvalidPartOrder"
    ),
    # Refused for what is requested of one object.
    UnexpectedResponse: "InvalidRequest InvalidArgument InvalidURI MalformedXML UserKeyMustBeSpecified EntityTooLarge "
    "MetadataTooLarge NoSuchUpload InvalidStorageClass RequestIsNotMultiPartContent",
    # What is left is a fault of the storage, or of how the mount names it.
    BackendUnavailable: (
        "InternalError ServiceUnavailable NoSuchBucket InvalidBucketName PermanentRedirect TemporaryRedirect Redirect "
        "IllegalLocationConstraintException NotImplemented "
        "InvalidLocationConstraint "
        "BucketAlreadyExists BucketAlreadyOwnedByYou BucketNotEmpty "
        "NoSuchLifecycleConfiguration NoSuchBucketPolicy TooManyBuckets"
    ),
}
CODES = {code: kind for kind, codes in _CODES_OF.items() for code in codes.split()}

#: By class of botocore's, the nearest class above an exception decides.
EXCEPTIONS: dict[type[BaseException], type[AssetStoreError]] = {
    boto.BotoCoreError: BackendUnavailable,
    boto.HTTPClientError: BackendUnavailable,
    boto.ConnectTimeoutError: BackendTimeout,
    boto.ReadTimeoutError: BackendTimeout,
    boto.IncompleteReadError: BodyTruncated,
    boto.ResponseStreamingError: BodyTruncated,
    boto.ChecksumError: BodyTruncated,
    boto.FlexibleChecksumError: BodyTruncated,
    boto.NoCredentialsError: BackendCredentials,
    boto.PartialCredentialsError: BackendCredentials,
    boto.CredentialRetrievalError: BackendCredentials,
    boto.MetadataRetrievalError: BackendCredentials,
    boto.TokenRetrievalError: BackendCredentials,
    boto.NoAuthTokenError: BackendCredentials,
    boto.UnauthorizedSSOTokenError: BackendCredentials,
    boto.SSOError: BackendCredentials,
    boto.RefreshWithMFAUnsupportedError: BackendCredentials,
    boto.UnknownCredentialError: BackendCredentials,
    boto.ParamValidationError: SettingsError,
    boto.ValidationError: SettingsError,
    boto.ProfileNotFound: SettingsError,
    boto.NoRegionError: SettingsError,
    boto.ConfigNotFound: SettingsError,
    boto.ConfigParseError: SettingsError,
}
if hasattr(boto, "LoginError"):  # since botocore 1.41
    EXCEPTIONS[boto.LoginError] = BackendCredentials


_OUT_OF_TIME = re.compile(r"\bexpired\b|not yet valid", re.IGNORECASE)


def kind_of_response(status: int, code: str = "") -> type[AssetStoreError]:
    """The class for an answer of *status* whose body named *code*; ``""`` where there was no body."""
    if code in CODES:
        return CODES[code]
    if status == 400 and not code:
        return BackendCredentials  # a HEAD with an expired or malformed token
    if 300 <= status < 400:
        return BackendUnavailable  # the bucket is in another region
    return kind_of_status(status)


def kind_of(error: BaseException) -> type[AssetStoreError]:
    """The class for an exception that boto3 or botocore raised."""
    if isinstance(error, boto.ClientError):
        return kind_of_response(_status_of(error.response), _code_of(error.response))
    for each in type(error).__mro__:
        if each in EXCEPTIONS:
            return EXCEPTIONS[each]
    if isinstance(error, TimeoutError):
        return BackendTimeout
    return BackendUnavailable


def is_unsupported(error: BaseException | None, *words: str) -> bool:
    """Whether a server refused a request for a header that it does not know, which holds one of *words*.

    Some say 501, others 400 with the header's name. A 501 without any name counts for every header.
    """
    if isinstance(error, boto.ClientError):
        status, code = _status_of(error.response), _code_of(error.response)
        said = str(error.response.get("Error", {}).get("Message", ""))
    else:
        status, code, said = getattr(error, "status", 0), getattr(error, "code", ""), str(error)
    named = any(word in said.lower() for word in words)
    if status == 501 or code == "NotImplemented":
        return named or not _HEADER_NAME.search(said)
    return status == 400 and code in {"InvalidArgument", "InvalidRequest", "UnsupportedArgument"} and named


_HEADER_NAME = re.compile(r"\b(?:x-amz-[a-z0-9-]+|if-(?:none-)?match|content-md5)\b", re.IGNORECASE)


def translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one of boto3; its own message is for the operator's log."""
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    size = str(response.get("Error", {}).get("ActualObjectSize", ""))
    return make(kind_of(error), path, label, f"{type(error).__name__}: {error}", headers, size)


def translate_response(status: int, headers: Mapping[str, str], body: bytes, path: str, label: str) -> AssetStoreError:
    """Our error for an answer that was read without boto3; *headers* by lower-case name."""
    code = size = said = ""
    with suppress(ElementTree.ParseError):
        tree = ElementTree.fromstring(body)
        code, size = tree.findtext(".//{*}Code") or "", tree.findtext(".//{*}ActualObjectSize") or ""
        said = (tree.findtext(".//{*}Message") or "")[:300]
        if code == "AccessDenied" and _OUT_OF_TIME.search(said):
            code = "RequestExpired"  # what S3 calls a presigned URL past its end, or signed by a wrong clock
    error = make(kind_of_response(status, code), path, label, f"{status} {code} {said}".rstrip(), headers, size)
    error.status, error.code = status, code  # type: ignore[attr-defined]  # for is_unsupported
    return error


def _status_of(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code_of(response: Mapping[str, Any]) -> str:
    code = str(response.get("Error", {}).get("Code", ""))
    return "" if code.isdecimal() else code
