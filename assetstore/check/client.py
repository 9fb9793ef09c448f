"""Requests to a CDN over urllib3, as a browser makes them: no redirect is followed, no coding is decoded."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from assetstore.errors import SettingsError

try:
    import urllib3
    from urllib3.exceptions import HTTPError
except ImportError:  # the command line starts without it; CdnClient raises
    urllib3 = None  # type: ignore[assignment]

#: A body up to this size is kept, so that ranges and codings can be compared with it.
KEPT_BYTES = 4 * 1024 * 1024
#: How long one response may take.
TIMEOUT_SECONDS = 30.0
#: Connections that are kept for further requests.
CONNECTIONS = 32

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
    """Requests files below *base*; threads may share it."""

    def __init__(self, base: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if urllib3 is None:
            raise SettingsError("requests to a CDN need urllib3; run: pip install 'assetstore[http]'")
        self.base = base if base.endswith("/") else base + "/"
        parts = urlsplit(self.base)
        self._path = parts.path
        self._pool = urllib3.connection_from_url(
            f"{parts.scheme}://{parts.netloc}", maxsize=CONNECTIONS, timeout=timeout_seconds
        )
        self._lock = threading.Lock()
        #: How many requests were made.
        self.requests = 0

    def get(self, url_path: str, **headers: str) -> CdnResponse:
        """Request a percent-encoded path below the base; header names are written with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with self._lock:
            self.requests += 1
        try:
            return self._get(url_path, given)
        except (HTTPError, OSError):
            pass  # a kept connection that the other side has closed: once more on a new one
        try:
            return self._get(url_path, given)
        except (HTTPError, OSError) as error:
            return CdnResponse(self.base + url_path, 0, {}, error=str(error) or type(error).__name__)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _get(self, url_path: str, headers: Mapping[str, str]) -> CdnResponse:
        response = self._pool.urlopen(
            "GET",
            self._path + url_path,
            headers={"User-Agent": "assetstore-check", **headers},
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            digest, size, kept = hashlib.sha256(), 0, bytearray()
            for chunk in response.stream(_CHUNK, decode_content=False):
                digest.update(chunk)
                size += len(chunk)
                if size <= KEPT_BYTES:
                    kept += chunk
            wanted = response.headers.get("content-length")
            if wanted is not None and wanted.isdecimal() and int(wanted) != size:
                raise HTTPError(f"{size} bytes came of {wanted}")
            response.release_conn()
        except BaseException:
            response.close()
            raise
        found = {name.lower(): value for name, value in response.headers.itermerged()}
        body = bytes(kept) if size <= KEPT_BYTES else None
        return CdnResponse(self.base + url_path, response.status, found, size, digest.hexdigest(), body)
