"""An HTTP origin: HEAD to stat, ranged GET to read, over urllib3."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError, TimeoutError

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.http.headers import kind_of_status, make, received_part, request_headers, stat_of
from assetstore.backends.ranged import Body, Download, SyncRangedFile
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
    UnsafePath,
)

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
