"""PutObject and HeadObject without boto3: one exchange over urllib3, signed in a header (AWS Signature Version 4).

boto3 takes 2 to 5 ms of CPU for a small object, this about half of one. boto3 signs one URL first, which
tells host, path prefix and region; where more is wanted than an ordinary request (a proxy, an access point,
arguments of the user's own), boto3 sends it.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import SEEK_END, BufferedReader
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from urllib3.exceptions import HTTPError

from assetstore.backends.s3.client import Client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ALGORITHM = "AWS4-HMAC-SHA256"


#: SHA-256 of no bytes.
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
#: botocore's names of the operations, for its events.
_OPERATIONS = {"PUT": "PutObject", "HEAD": "HeadObject"}


#: Request headers by the names that boto3 has for them.
_HEADERS = {
    "ContentType": "content-type",
    "CacheControl": "cache-control",
    "ContentEncoding": "content-encoding",
    "ContentDisposition": "content-disposition",
    "ContentLanguage": "content-language",
    "ContentMD5": "content-md5",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "IfNoneMatch": "if-none-match",
    "IfMatch": "if-match",
    "RequestPayer": "x-amz-request-payer",
    "StorageClass": "x-amz-storage-class",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "ACL": "x-amz-acl",
}


def headers_of_arguments(arguments: dict[str, Any]) -> dict[str, str]:
    """The request headers for *arguments* of boto3, all of which have to be known here."""
    headers = {_HEADERS[name]: str(value) for name, value in arguments.items() if name in _HEADERS}
    headers |= {f"x-amz-meta-{name}": value for name, value in arguments.get("Metadata", {}).items()}
    return headers


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """A response: header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """What the requests to one bucket have in common."""

    pool: urllib3.HTTPConnectionPool
    scheme: str
    host: str
    #: The path in front of the key.
    prefix: str
    region: str
    #: The boto3 client that signed the URL it was read from.
    client: S3Client


class DirectRequests:
    """Sends PUT and HEAD requests to one bucket; threads may share it."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._endpoint: _Endpoint | None = None
        self._lock = threading.Lock()
        self._keys: dict[tuple[str, str], bytes] = {}
        #: False once it is known that boto3 has to send.
        self.usable = True

    def send(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str],
        body: bytes | BufferedReader = b"",
        sha256: str = EMPTY_SHA256,
    ) -> DirectResponse | None:
        """Send one request; ``None`` where boto3 has to.

        Args:
            method: ``PUT`` or ``HEAD``.
            key: the object's key.
            headers: request headers beside those that sign.
            sha256: of *body*, in hex.

        Raises:
            HTTPError, OSError: no whole response arrived; the object may be stored.
            Whatever botocore raises for credentials that are missing.
        """
        endpoint = self._current(key)
        if endpoint is None:
            return None
        path = endpoint.prefix + quote(key, safe="/~")
        given = self._signed(method, endpoint, path, headers, sha256)
        if not isinstance(body, bytes):
            given["content-length"] = str(body.seek(0, SEEK_END))  # else it would go in chunks, which S3 refuses
            body.seek(0)
        url = f"{endpoint.scheme}://{endpoint.host}{path}"
        request = AWSPreparedRequest(method, url, HeadersDict(given), body, False)  # type: ignore[arg-type]
        # Handlers of mocks (moto's mock_aws) and of applications see the request as they do with boto3.
        events: Any = endpoint.client.meta.events
        _, answered = events.emit_until_response(f"before-send.s3.{_OPERATIONS[method]}", request=request)
        if answered is not None:
            found = {name.lower(): str(value) for name, value in answered.headers.items()}
            return DirectResponse(answered.status_code, found, answered.content)
        response = endpoint.pool.urlopen(
            method,
            path,
            body=body or None,
            headers=dict(request.headers.items()),
            retries=False,
            redirect=False,
            preload_content=True,
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return DirectResponse(response.status, found, response.data)

    def close(self) -> None:
        """Close the pooled connections."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.pool.close()

    def _current(self, key: str) -> _Endpoint | None:
        if not self.usable:
            return None
        endpoint = self._endpoint
        client = self._client.get()
        if endpoint is not None and endpoint.client is client:
            return endpoint
        with self._lock:
            if self._endpoint is None or self._endpoint.client is not client:
                self.close()
                self._endpoint = self._made(client, key)
                self.usable = self._endpoint is not None
            return self._endpoint

    def _made(self, client: S3Client, key: str) -> _Endpoint | None:
        options = self._client.options
        if options.unsigned or options.put_arguments.keys() - _HEADERS.keys() or ":" in self._bucket:
            return None
        url = urlsplit(client.generate_presigned_url("put_object", {"Bucket": self._bucket, "Key": key}, ExpiresIn=900))
        given = dict(parse_qsl(url.query))
        scope = given.get("X-Amz-Credential", "").split("/")
        if given.get("X-Amz-Algorithm") != _ALGORITHM or len(scope) < 5 or scope[-2] != "s3":
            return None
        spelled = quote(key, safe="/~")
        if not url.path.endswith(f"/{spelled}") or (
            getproxies().get(url.scheme) and not proxy_bypass(url.hostname or "")
        ):
            return None
        pool_options: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=options.connect_timeout_seconds, read=options.read_timeout_seconds),
            "maxsize": options.max_connections,
            "block": False,
        }
        if url.scheme == "https":
            verify = self._client.verify()
            pool_options["cert_reqs"] = "CERT_NONE" if verify is False else "CERT_REQUIRED"
            pool_options["ca_certs"] = verify if isinstance(verify, str) else _certificates()
        pool = urllib3.connection_from_url(f"{url.scheme}://{url.netloc}", **pool_options)
        return _Endpoint(pool, url.scheme, url.netloc, url.path[: -len(spelled)], scope[-3], client)

    def _signed(
        self, method: str, endpoint: _Endpoint, path: str, headers: Mapping[str, str], payload: str
    ) -> dict[str, str]:
        """*headers* with those that sign the request (AWS Signature Version 4)."""
        credentials = self._client.frozen_credentials()
        now = datetime.now(UTC)
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        given = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        given |= {"host": endpoint.host, "x-amz-content-sha256": payload, "x-amz-date": moment}
        if credentials.token:
            given["x-amz-security-token"] = credentials.token
        names = sorted(given)
        signed = ";".join(names)
        lines = "".join([f"{name}:{given[name]}\n" for name in names])
        request = f"{method}\n{path}\n\n{lines}\n{signed}\n{payload}"
        scope = f"{day}/{endpoint.region}/s3/aws4_request"
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(self._key(credentials.secret_key or "", scope), text.encode(), hashlib.sha256).hexdigest()
        given["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )
        given["user-agent"] = "assetstore"
        return given

    def _key(self, secret: str, scope: str) -> bytes:
        known = self._keys.get((secret, scope))
        if known is None:
            known = f"AWS4{secret}".encode()
            for part in scope.split("/"):
                known = hmac.new(known, part.encode(), hashlib.sha256).digest()
            self._keys = {(secret, scope): known}  # a new day or renewed credentials replace the old one
        return known


def _certificates() -> str:
    from botocore.httpsession import where

    return str(where())


#: What :meth:`DirectRequests.send` raises where no whole response arrived.
FAULTS = (HTTPError, OSError)
