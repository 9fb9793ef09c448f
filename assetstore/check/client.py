"""Requests to a CDN, one kept connection for each thread."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

#: A body up to this size is kept, so that ranges and codings can be compared with it.
KEPT_BYTES = 4 * 1024 * 1024
#: How long one response may take.
TIMEOUT_SECONDS = 30.0

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class CdnResponse:
    """One response. No response at all has status 0 and says why in ``error``."""

    url: str
    status: int
    #: Lower-case names; the values of a repeated header are joined with commas.
    headers: Mapping[str, str]
    size: int = 0
    sha256: str = ""
    #: The body as received, where it is small enough to be kept.
    body: bytes | None = b""
    error: str = ""

    def header(self, name: str) -> str:
        """A header's value; empty where it is absent."""
        return self.headers.get(name, "")

    @property
    def directives(self) -> Mapping[str, str]:
        """Cache-Control as directive to argument (RFC 9111 section 5.2), lower case."""
        parts = (part.strip().lower().partition("=") for part in self.header("cache-control").split(","))
        return {name: value.strip('"') for name, _, value in parts if name}


class CdnClient:
    """Fetches from one host. Each thread has a connection of its own."""

    def __init__(self, base: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.base = base if base.endswith("/") else base + "/"
        parts = urlsplit(self.base)
        self._secure, self._host, self._path = parts.scheme == "https", parts.netloc, parts.path
        self._timeout = timeout_seconds
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[http.client.HTTPConnection] = []
        #: How many requests were made.
        self.requests = 0

    def get(self, url_path: str, **headers: str) -> CdnResponse:
        """Request a percent-encoded path below the base; header names are written with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with self._lock:
            self.requests += 1
        try:
            return self._get(url_path, given)
        except (OSError, http.client.HTTPException):
            self._forget()  # a kept connection that the other side has closed: once more on a new one
        try:
            return self._get(url_path, given)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            return CdnResponse(self.base + url_path, 0, {}, error=str(error) or type(error).__name__)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            while self._open:
                self._open.pop().close()

    def _get(self, url_path: str, headers: Mapping[str, str]) -> CdnResponse:
        connection = self._connection()
        connection.request("GET", self._path + url_path, headers={"User-Agent": "assetstore-check", **headers})
        response = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
        digest, size, kept = hashlib.sha256(), 0, bytearray()
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size <= KEPT_BYTES:
                kept += chunk
        body = bytes(kept) if size <= KEPT_BYTES else None
        return CdnResponse(self.base + url_path, response.status, found, size, digest.hexdigest(), body)

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = self._local.connection = kind(self._host, timeout=self._timeout)
            with self._lock:
                self._open.append(connection)
        return connection

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
