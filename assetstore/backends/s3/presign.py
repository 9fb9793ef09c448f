"""This module owns presigned URLs: boto3 signs the first, the others are made like it, and each is remembered.

``Range`` and ``If-Match`` need no signature, so one URL serves every read of a key until it nears its end.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from assetstore.backends.s3.client import Client
from assetstore.backends.s3.sigv4 import Form

Method = Literal["GET", "HEAD"]

#: How long a URL is good for.
LIFE_SECONDS = 3600
#: How long before its end, or that of its credentials, a URL is signed anew. Clocks differ.
MARGIN_SECONDS = 300
#: URLs remembered by one mount (about 1 KB each).
REMEMBERED = 20_000

_OPERATIONS: dict[Method, Literal["get_object", "head_object"]] = {"GET": "get_object", "HEAD": "head_object"}


@dataclass(frozen=True, slots=True)
class _Session:
    """What URLs are made with until it ends."""

    until: float
    form: Form | None


class Presigner:
    """Gives the URL of a key for one method; thread-safe."""

    def __init__(self, client: Client, bucket: str, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._now = now
        self._sessions: dict[Method, _Session] = {}
        self._remembered: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def cached(self, method: Method, key: str) -> str | None:
        """The URL if it can be had without waiting for anything."""
        now = self._now()
        until, url = self._remembered.get((method, key), (0.0, ""))
        if now < until:
            return url
        session = self._sessions.get(method)
        if session is None or session.form is None or now >= session.until:
            return None
        return self._remember(method, key, session.form.url(key), session.until)

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
        return self._remember(method, key, url, until)

    def forget(self) -> None:
        """Drop every URL: what signed them is no longer believed."""
        with self._lock:
            self._sessions.clear()
            self._remembered.clear()

    def _end(self) -> float:
        end = self._now() + LIFE_SECONDS
        if (expiry := self._client.credentials_expire_at()) is not None:
            end = min(end, _seconds(expiry))
        return end - MARGIN_SECONDS

    def _remember(self, method: Method, key: str, url: str, until: float) -> str:
        with self._lock:
            self._remembered[method, key] = (until, url)
            self._remembered.move_to_end((method, key))
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return url


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
