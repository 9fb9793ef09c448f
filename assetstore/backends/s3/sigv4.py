"""AWS Signature Version 4 in the query string, for the URLs of many keys.

boto3 takes a quarter of a millisecond for a URL, which is more than the read. So it signs one key,
and the URLs of all others are derived from that: they differ in path and signature only. This is
used only where deriving the same key's URL again gives the very URL of boto3.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access key and secret key; ``repr`` shows neither."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "Credentials(...)"


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
