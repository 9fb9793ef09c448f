"""This module owns an HTTP origin as a backend: HEAD to stat, ranged GET to read, and its public URLs.

It stands on the standard library, so that a plain install can read from a CDN.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.http.errors import kind_of_status, make
from assetstore.backends.http.headers import stat_of
from assetstore.backends.http.ranged import Arrival, arriving, open_ranged, range_header
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


class HttpBackend:
    """The files beneath an ``http(s)://`` URL; read-only, and without a listing."""

    remote = True
    #: HTTP has no way to list, so names are learnt as they are asked for.
    listable = False

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_seconds: float = 2.0,
        read_timeout_seconds: float = 5.0,
    ) -> None:
        """*headers* go with every request (``Authorization``, for one).

        Raises:
            SettingsError: *base_url* is no absolute http or https URL.
        """
        self.base_url = base_url.rstrip("/") + "/"
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(
                f"root {base_url!r} is no origin; give an absolute URL: https://cdn.example.com/static/"
            )
        if parts.username:
            raise SettingsError("root has a user in its URL; pass storage_options={'headers': {'Authorization': ...}}")
        self.label = self.base_url.rstrip("/")
        self._prefix = parts.path
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "assetstore", **(headers or {})}
        self._pool = _Pool(parts.scheme, parts.hostname, parts.port, connect_timeout_seconds, read_timeout_seconds)

    def __repr__(self) -> str:
        return f"HttpBackend({self.label!r})"

    def url(self, path: str) -> str:
        """The origin's own URL of *path*, for handing out."""
        return self.base_url + paths.to_url(path)

    def stat(self, path: str) -> FileStat:
        answer = self._ask("HEAD", path, {})
        answer.close()
        return answer.stat(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return open_ranged(self._fetch, path, span, validator, lambda error: _translate(error, path, self.label))

    def walk(self) -> Iterator[FileStat]:
        raise BackendForbidden(f"{self.label} cannot be listed over HTTP; give the mount a manifest, or index='lazy'")

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _fetch(self, path: str, span: Span, validator: str | None) -> Arrival:
        headers = {}
        if (wanted := range_header(span)) is not None:
            headers["Range"] = wanted
        if validator is not None:
            headers["If-Match"] = f'"{validator}"'
        answer = self._ask("GET", path, headers)
        stat = answer.stat(path)
        return Arrival(stat, *arriving(answer.headers, stat.size), answer)

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> _Answer:
        try:
            target = self._prefix + paths.to_url(paths.clean(path, hidden=True))
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None
        try:
            answer = self._pool.send(method, target, {**self._headers, **headers})
        except (OSError, http.client.HTTPException) as error:
            raise _translate(error, path, self.label) from error
        if answer.status in {200, 206}:
            return answer
        answer.close()
        said = f"{answer.status} {answer.headers.get('location', '')}".strip()
        raise make(kind_of_status(answer.status), path, self.label, said, answer.headers)


class _Answer:
    """A response whose connection goes back to the pool once its end was read."""

    def __init__(self, pool: _Pool, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._pool = pool
        self._connection = connection
        self._response = response
        self._open = True

    def stat(self, path: str) -> FileStat:
        """The facts in the headers."""
        if "content-length" not in self.headers and "content-range" not in self.headers:
            self.close()
            raise BackendUnavailable(f"{path!r} came without Content-Length, so it cannot be served", path=path)
        return stat_of(path, self.headers)

    def read(self, size: int, /) -> bytes:
        return self._response.read(size)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        rest = self._response.length
        if rest is not None and rest <= DRAIN_BYTES and not self._response.will_close:
            try:
                self._response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                return
            self._pool.give_back(self._connection)
            return
        self._response.close()
        self._connection.close()


class _Pool:
    def __init__(self, scheme: str, host: str, port: int | None, connect: float, read: float) -> None:
        self._host, self._port = host, port
        self._context = ssl.create_default_context() if scheme == "https" else None
        self._connect, self._read = connect, read
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=IDLE_CONNECTIONS)
        self._lock = threading.Lock()

    def send(self, method: str, target: str, headers: Mapping[str, str]) -> _Answer:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._send(connection, method, target, headers)
            except (ConnectionError, http.client.HTTPException):
                pass  # the server closed it while it was idle: a new one is no second attempt
        return self._send(self._new(), method, target, headers)

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _new(self) -> http.client.HTTPConnection:
        arguments: dict[str, Any] = {"timeout": self._connect}
        if self._context is None:
            connection = http.client.HTTPConnection(self._host, self._port, **arguments)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, **arguments)
        connection.connect()
        connection.sock.settimeout(self._read)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send(
        self, connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str]
    ) -> _Answer:
        try:
            connection.request(method, target, headers=dict(headers))
            return _Answer(self, connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise


def _translate(error: Exception, path: str, label: str) -> AssetStoreError:
    said = f"{label} failed on {path!r}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return BackendTimeout(said, path=path)
    if isinstance(error, http.client.IncompleteRead):
        return BodyTruncated(said, path=path)
    return BackendUnavailable(said, path=path)


def open_url(url: str, storage_options: Mapping[str, Any]) -> HttpBackend:
    """The backend of an ``http(s)://`` URL.

    Raises:
        SettingsError: the URL is no origin, or an option is unknown.
    """
    if unknown := sorted(set(storage_options) - _OPTIONS):
        raise SettingsError(
            f"storage_options of {url!r} know no {unknown[0]!r}; they are: {', '.join(sorted(_OPTIONS))}"
        )
    return HttpBackend(url, **storage_options)
