"""PutObject over a connection of our own, signed with AWS Signature Version 4 in a header.

boto3 takes 2 to 5 ms of CPU for a small object; this takes about a quarter of one. boto3 signs one URL
first, which tells host, folder, region and credentials; where a request is to be more than an ordinary
PUT (a proxy, an access point, a handler that another library has registered), boto3 sends it.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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


@dataclass(frozen=True, slots=True)
class PutResponse:
    """The response to one PUT: header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """What the PUTs of one bucket have in common."""

    pool: urllib3.HTTPConnectionPool
    scheme: str
    host: str
    #: The path in front of the key.
    folder: str
    region: str
    #: The boto3 client that it was learnt from, with its credentials.
    client: S3Client


class DirectPut:
    """Sends PUTs to one bucket; threads may share it."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._place: _Place | None = None
        self._lock = threading.Lock()
        self._keys: dict[tuple[str, str], bytes] = {}
        #: False from then on that it cannot be used.
        self.usable = True

    def send(self, key: str, body: bytes, headers: Mapping[str, str]) -> PutResponse | None:
        """Send *body* as *key* with *headers*; ``None`` where boto3 has to.

        Raises:
            HTTPError, OSError: no whole response arrived; the object may be stored.
            Whatever botocore raises for credentials that are missing.
        """
        place = self._learnt(key)
        if place is None:
            return None
        path = place.folder + quote(key, safe="/~")
        given = self._signed(place, path, body, headers)
        request = AWSPreparedRequest("PUT", f"{place.scheme}://{place.host}{path}", HeadersDict(given), body, False)  # type: ignore[arg-type]
        # Handlers of mocks (moto's mock_aws) and of applications see the request as they do with boto3.
        events: Any = place.client.meta.events
        _, answered = events.emit_until_response("before-send.s3.PutObject", request=request)
        if answered is not None:
            found = {name.lower(): str(value) for name, value in answered.headers.items()}
            return PutResponse(answered.status_code, found, answered.content)
        response = place.pool.urlopen(
            "PUT",
            path,
            body=body,
            headers=dict(request.headers.items()),
            retries=False,
            redirect=False,
            preload_content=True,
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return PutResponse(response.status, found, response.data)

    def close(self) -> None:
        """Close the pooled connections."""
        place, self._place = self._place, None
        if place is not None:
            place.pool.close()

    def _learnt(self, key: str) -> _Place | None:
        if not self.usable:
            return None
        place = self._place
        client = self._client.get()
        if place is not None and place.client is client:
            return place
        with self._lock:
            if self._place is None or self._place.client is not client:
                self.close()
                self._place = self._learn(client, key)
                self.usable = self._place is not None
            return self._place

    def _learn(self, client: S3Client, key: str) -> _Place | None:
        options = self._client.options
        if options.unsigned or set(options.put_arguments) - {"StorageClass"} or ":" in self._bucket:
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
        made: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=options.connect_timeout_seconds, read=options.read_timeout_seconds),
            "maxsize": options.max_connections,
            "block": False,
        }
        if url.scheme == "https":
            made["cert_reqs"] = "CERT_NONE" if options.verify is False else "CERT_REQUIRED"
            made["ca_certs"] = options.verify if isinstance(options.verify, str) else _certificates()
        pool = urllib3.connection_from_url(f"{url.scheme}://{url.netloc}", **made)
        return _Place(pool, url.scheme, url.netloc, url.path[: -len(spelled)], scope[-3], client)

    def _signed(self, place: _Place, path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """*headers* with those that sign the request (AWS Signature Version 4)."""
        credentials = self._client.frozen_credentials()
        now = datetime.now(UTC)
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        payload = hashlib.sha256(body).hexdigest()
        given = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        given |= {"host": place.host, "x-amz-content-sha256": payload, "x-amz-date": moment}
        if credentials.token:
            given["x-amz-security-token"] = credentials.token
        names = sorted(given)
        signed = ";".join(names)
        lines = "".join([f"{name}:{given[name]}\n" for name in names])
        request = f"PUT\n{path}\n\n{lines}\n{signed}\n{payload}"
        scope = f"{day}/{place.region}/s3/aws4_request"
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


#: What :meth:`DirectPut.send` raises where no whole response arrived.
FAULTS = (HTTPError, OSError)
