"""HTTP headers and statuses of a storage: of a request for a part of a file, and what the response says."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping

from assetstore.assets import media_types
from assetstore.backends.base import FileStat, Span
from assetstore.backends.objects import FINGERPRINT_KEY, SHA256_KEY, hex64, recorded_fingerprint
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
from assetstore.util.dates import parse_storage_date

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


_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
#: Types of files that may be HTML, or of which the type says nothing.
_MAYBE_HTML = {"text/html", "application/xhtml+xml", "application/octet-stream", "text/plain"}


def stat_of(path: str, headers: Mapping[str, str], *, is_s3: bool = False) -> FileStat:
    """The file that a GET or HEAD was answered with.

    Args:
        headers: by lower-case name.
        is_s3: whether the answer has to come from S3, which always sends an ETag.

    Raises:
        UnexpectedResponse: no file's: without a length, or the page of a proxy or of an application.
    """
    etag = headers.get("etag", "")
    if is_s3 and not etag:
        raise UnexpectedResponse(f"{path!r} came without an ETag, so not from a bucket", path=path)
    if not is_s3 or not any(name.lower().startswith("x-amz-") for name in headers):
        _refuse_page(path, headers)
    return FileStat(
        path,
        _size_of(path, headers),
        mtime_ns(headers.get("last-modified", "")),
        strong(etag),
        sha256=_sha256(headers),
        published_fingerprint=recorded_fingerprint(headers.get(f"x-amz-meta-{FINGERPRINT_KEY}", "")),
        coding=_coding(headers.get("content-encoding", "")),
    )


def received_part(headers: Mapping[str, str], size: int) -> tuple[int, int]:
    """The bytes (half-open) that a response brings of a file of *size* bytes: all without a ``Content-Range``."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    return (int(match[1]), int(match[2]) + 1) if match else (0, size)


def request_headers(path: str, span: Span, validator: str | None) -> dict[str, str]:
    """``Range`` and ``If-Match`` of a request for *span* of the version *validator*.

    Raises:
        VersionChanged: no response can have that validator.
    """
    headers = {}
    start, stop = span.start, span.stop
    if start < 0:
        if stop is None:
            headers["Range"] = f"bytes={start}"
    elif stop is None:
        if start:
            headers["Range"] = f"bytes={start}-"
    elif stop > start:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    if validator is not None:
        if not (validator.isascii() and validator.isprintable()):
            raise VersionChanged(f"{path!r} has no version with the validator {validator!r}", path=path)
        headers["If-Match"] = f'"{validator}"'
    return headers


def _refuse_page(path: str, headers: Mapping[str, str]) -> None:
    """A captive portal, or an application that answers every URL with its own page, says 200 to a script."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = media_types.STANDARD.bare(path)
    if kind == "text/html" and wanted not in _MAYBE_HTML:
        raise UnexpectedResponse(f"{path!r} came as text/html and not as {wanted}: a page of something else", path=path)


def _size_of(path: str, headers: Mapping[str, str]) -> int:
    """The whole file's size: ``Content-Range`` has it for a part, else ``Content-Length``."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    size = match[3] if match else headers.get("content-length", "")
    if not is_size(size) or (match and int(match[1]) > int(match[2])) or (match and int(match[2]) >= int(size)):
        raise UnexpectedResponse(
            f"{path!r} came without a usable Content-Length or Content-Range, so it cannot be served", path=path
        )
    return int(size)


def strong(etag: str) -> str | None:
    """The opaque tag of a strong ETag header, unquoted; ``None`` for a weak one and for none."""
    return None if etag.startswith("W/") else etag.strip('"') or None


def mtime_ns(value: str) -> int | None:
    """A date of a header or a listing in nanoseconds since the epoch, in whole seconds; ``None`` if it is none.

    Headers have whole seconds only, so a listing's fraction is dropped: one object has one time.
    """
    moment = parse_storage_date(value)
    return None if moment is None else moment - moment % 1_000_000_000


def _sha256(headers: Mapping[str, str]) -> str | None:
    if recorded := hex64(headers.get(f"x-amz-meta-{SHA256_KEY}", "")):
        return recorded
    checksum = headers.get("x-amz-checksum-sha256", "")
    if not checksum:
        return None
    try:
        # A composite checksum (of the parts' checksums) ends in -N and is not of the bytes.
        digest = b64decode(checksum, validate=True)
    except ValueError:  # no base64; or not even ASCII
        return None
    return digest.hex() if len(digest) == 32 else None


def _coding(value: str) -> str | None:
    if not value:
        return None
    # Some servers keep the transfer's own aws-chunked among the codings of the object.
    codings = [each.strip().lower() for each in value.split(",")]
    codings = [each for each in codings if each not in {"", "aws-chunked", "identity"}]
    return ", ".join(codings) or None
