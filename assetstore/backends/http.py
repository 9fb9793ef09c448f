"""An HTTP origin, over urllib3, and what headers and statuses of storages that speak HTTP mean."""

from __future__ import annotations

import logging
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, TimeoutError

from assetstore.assets import media_types, paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.objects import FINGERPRINT_KEY, SHA256_KEY, hex64, recorded_fingerprint
from assetstore.backends.ranged import Body, Download, SyncRangedFile
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
    UnsafePath,
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


#: Idle connections that are kept for the next request.
IDLE_CONNECTIONS = 16
#: A body's rest up to this size is read, to keep the connection; a longer one costs more than a new one.
DRAIN_BYTES = 64 * 1024

_OPTIONS = {"headers", "connect_timeout_seconds", "read_timeout_seconds"}

_log = logging.getLogger("assetstore")


class HttpBackend:
    """The files beneath an ``http(s)://`` URL; read-only, and without a listing.

    Args:
        base_url: absolute, without query and user.
        headers: sent with every request (``Authorization``, for one).

    Raises:
        SettingsError: *base_url* is not such a URL.
    """

    remote = True
    #: HTTP has no listing, so names are read as they are requested.
    listable = False

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_seconds: float = 2.0,
        read_timeout_seconds: float = 5.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.username or parts.password:
            raise SettingsError("root has a user in its URL; pass storage_options={'headers': {'Authorization': ...}}")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(
                f"root {base_url!r} is no origin; give an absolute URL: https://cdn.example.com/static/"
            )
        self.base_url = base_url.rstrip("/") + "/"
        self.label = self.base_url.rstrip("/")
        self._prefix = urlsplit(self.base_url).path
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "assetstore", **(headers or {})}
        self._warned = False
        self._timeout = urllib3.Timeout(connect=connect_timeout_seconds, read=read_timeout_seconds)
        self._pool = self._new_pool()

    def __repr__(self) -> str:
        return f"HttpBackend({self.label!r})"

    def url(self, path: str) -> str:
        """The origin's own URL of *path*."""
        return self.base_url + paths.to_url(path)

    def stat(self, path: str) -> FileStat:
        response = self._send("HEAD", path, {})
        response.drain_conn()
        return stat_of(path, _headers_of(response))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return SyncRangedFile.open(self._fetch, path, span, validator)

    def walk(self) -> Iterator[FileStat]:
        raise BackendForbidden(f"{self.label} cannot be listed over HTTP; give the mount a manifest, or index='lazy'")

    def close(self) -> None:
        """Close idle connections; a later use opens new ones."""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        return urllib3.connection_from_url(self.base_url, maxsize=IDLE_CONNECTIONS, timeout=self._timeout)

    def _fetch(self, path: str, span: Span, validator: str | None) -> Download:
        response = self._send("GET", path, request_headers(path, span, validator))
        body = _Body(response, path, self.label)
        try:
            headers = _headers_of(response)
            stat = stat_of(path, headers)
            return Download(stat, received_part(headers, stat.size), body)
        except BaseException:
            body.close()
            raise

    def _send(self, method: str, path: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """A successful response, its body unread."""
        try:
            target = self._prefix + paths.to_url(paths.clean(path, hidden=True))
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None
        try:
            try:
                response = self._request(method, target, headers)
            except ProtocolError:  # the server closed an idle connection
                response = self._request(method, target, headers)
        except (HTTPError, OSError) as error:
            raise _translate(error, path, self.label) from error
        if response.status in {200, 206}:
            return response
        response.drain_conn()
        self._warn_of_redirect(response, target)
        kind = kind_of_status(response.status)
        raise make(kind, path, self.label, str(response.status), _headers_of(response))

    def _request(self, method: str, target: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        response: urllib3.BaseHTTPResponse = self._pool.urlopen(
            method,
            target,
            headers={**self._headers, **headers},
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        return response

    def _warn_of_redirect(self, response: urllib3.BaseHTTPResponse, target: str) -> None:
        location = response.headers.get("location", "")
        is_folder = urlsplit(location).path == f"{target}/"
        if 300 <= response.status < 400 and not is_folder and not self._warned:
            self._warned = True
            _log.warning(
                "%s redirects %s to %r; redirects are not followed, so give the final URL as root",
                self.label,
                target,
                location[:200],
            )


class _Body(Body):
    def __init__(self, response: urllib3.BaseHTTPResponse, path: str, label: str) -> None:
        self._response = response
        self._path = path
        self._label = label
        self._open = True

    async def read(self, size: int) -> bytes:
        try:
            chunk: bytes = self._response.read(size)
        except (HTTPError, OSError) as error:
            raise _translate(error, self._path, self._label) from error
        return chunk

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        rest: int | None = self._response.length_remaining
        if rest is not None and rest <= DRAIN_BYTES:
            self._response.drain_conn()
        self._response.close()
        self._response.release_conn()


def _headers_of(response: urllib3.BaseHTTPResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _translate(error: Exception, path: str, label: str) -> AssetStoreError:
    said = f"{label} failed on {path!r}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
        return BackendTimeout(said, path=path)
    if isinstance(error, ProtocolError) and "IncompleteRead" in str(error):
        return BodyTruncated(said, path=path)
    return BackendUnavailable(said, path=path)


def open_url(url: str, storage_options: Mapping[str, Any]) -> HttpBackend:
    """The backend of an ``http(s)://`` URL.

    Raises:
        SettingsError: the URL is no origin, or an option is unknown.
    """
    if unknown := sorted(set(storage_options) - _OPTIONS):
        raise SettingsError(f"storage_options of HTTP know no {unknown[0]!r}; they are: {', '.join(sorted(_OPTIONS))}")
    return HttpBackend(url, **storage_options)
