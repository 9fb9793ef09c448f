"""Presigned URLs: boto3 signs the first of each kind, the others are derived from it, and all are cached.

``Range`` and ``If-Match`` need no signature, so one URL serves every read of a key until it nears its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from assetstore.backends.s3.client import Client
from assetstore.backends.s3.sigv4 import Form
from assetstore.util.lru import LRU

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
