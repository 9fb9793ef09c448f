"""Presigned URLs: boto3 signs the first of each kind, the others are derived from it, and all are cached.

``Range`` and ``If-Match`` need no signature, so one URL serves every read of a key until it nears its end.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from assetstore.backends.s3.client import Client, Credentials
from assetstore.util.lru import LRU

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Form:
    """A presigned URL without its key and signature."""

    method: str
    #: Scheme, host, and the path up to the key.
    origin: str
    host: str
    folder: str
    #: Sorted and encoded, without the signature; empty where nothing is signed.
    query: str
    date: str
    scope: str
    _signing_key: bytes

    @classmethod
    def read(cls, url: str, method: str, key: str, credentials: Credentials | None) -> Form | None:
        """The form of *url*, which was presigned for *method* and *key*; ``None`` if no other can be derived from it."""
        parts = urlsplit(url)
        spelled = _spell(key)
        if not parts.path.endswith(f"/{spelled}"):
            return None
        folder = parts.path[: -len(spelled)]
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        signature = given.pop("X-Amz-Signature", "")
        scope = given.get("X-Amz-Credential", "").partition("/")[2]
        secret = "" if credentials is None else credentials.secret_key
        form = cls(
            method,
            f"{parts.scheme}://{parts.netloc}",
            parts.netloc,
            folder,
            _query(given),
            given.get("X-Amz-Date", ""),
            scope,
            _signing_key(secret, scope),
        )
        if signature and (given.get("X-Amz-Algorithm"), given.get("X-Amz-SignedHeaders")) != (_ALGORITHM, "host"):
            return None
        if not signature and given:
            return None
        return form if form._signature(folder + spelled) == signature else None

    def url(self, key: str) -> str:
        """The presigned URL of *key*."""
        path = self.folder + _spell(key)
        if not self.query:
            return self.origin + path
        return f"{self.origin}{path}?{self.query}&X-Amz-Signature={self._signature(path)}"

    def _signature(self, path: str) -> str:
        if not self.query:
            return ""
        request = f"{self.method}\n{path}\n{self.query}\nhost:{self.host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{self.date}\n{self.scope}\n{digest}"
        return hmac.new(self._signing_key, text.encode(), hashlib.sha256).hexdigest()


def _spell(key: str) -> str:
    return quote(key, safe="/~")


def _query(given: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(given[name], safe='~')}" for name in sorted(given))


def _signing_key(secret: str, scope: str) -> bytes:
    """The key derived for a scope ``20261122/eu-west-1/s3/aws4_request``."""
    derived = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    return derived


Method = Literal["GET", "HEAD"]

#: How long a URL is valid, in seconds.
LIFE_SECONDS = 3600
#: A URL is signed again so many seconds before it, or its credentials, expire. Clocks differ.
MARGIN_SECONDS = 300
#: URLs cached by one mount (about 1 KB each).
MAX_URLS = 20_000

_OPERATIONS: dict[Method, Literal["get_object", "head_object"]] = {"GET": "get_object", "HEAD": "head_object"}


@dataclass(frozen=True, slots=True)
class _Session:
    """What URLs are derived from until it expires."""

    until: float
    form: Form | None


class Presigner:
    """The URLs of keys, by method; thread-safe."""

    def __init__(self, client: Client, bucket: str, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._now = now
        self._sessions: dict[Method, _Session] = {}
        self._urls: LRU[tuple[str, str], tuple[float, str]] = LRU(MAX_URLS)

    def cached(self, method: Method, key: str) -> str | None:
        """The URL, if it needs no look-up of credentials."""
        now = self._now()
        until, url = self._urls.get((method, key), (0.0, ""))
        if now < until:
            return url
        session = self._sessions.get(method)
        if session is None or session.form is None or now >= session.until:
            return None
        return self._keep(method, key, session.form.url(key), session.until)

    def url(self, method: Method, key: str) -> str:
        """The URL of *key* for *method*. May look up credentials, over a network even.

        Raises:
            SettingsError: the client cannot be made.
            Whatever botocore raises for credentials that are missing.
        """
        if (known := self.cached(method, key)) is not None:
            return known
        until = self._end()
        url = self._client.get().generate_presigned_url(
            _OPERATIONS[method],
            {"Bucket": self._bucket, "Key": key, **self._client.options.request_arguments},
            ExpiresIn=LIFE_SECONDS,
        )
        self._sessions[method] = _Session(until, Form.read(url, method, key, self._client.credentials()))
        return self._keep(method, key, url, until)

    def forget(self) -> None:
        """Drop every URL: the credentials that signed them were refused."""
        self._sessions.clear()
        self._urls.clear()

    def _end(self) -> float:
        end = self._now() + LIFE_SECONDS
        if (expiry := self._client.credentials_expire_at()) is not None:
            end = min(end, _seconds(expiry))
        return end - MARGIN_SECONDS

    def _keep(self, method: Method, key: str, url: str, until: float) -> str:
        self._urls.put((method, key), (until, url))
        return url


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
