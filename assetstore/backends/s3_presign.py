"""This module owns presigned URLs: signed once by boto3 for a key, and remembered until they near their end.

``Range`` and ``If-Match`` need no signature, so one URL serves every read of a key.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from assetstore.backends.s3_client import Client

#: How long a URL is good for.
LIFE_SECONDS = 3600
#: How long before its end, or that of its credentials, a URL is signed anew. Clocks differ.
MARGIN_SECONDS = 300
#: URLs remembered by one mount (about 1 KB each).
REMEMBERED = 20_000


class Presigner:
    """Gives the URL of a key for one method; thread-safe."""

    def __init__(self, client: Client, bucket: str, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._now = now
        self._remembered: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, method: str, key: str) -> str | None:
        """The URL if it is known and good; never waits for anything."""
        until, url = self._remembered.get((method, key), (0.0, ""))
        return url if self._now() < until else None

    def url(self, method: str, key: str) -> str:
        """The URL of *key* for *method*, ``get_object`` or ``head_object``. May look up credentials.

        Raises:
            SettingsError: the client cannot be made.
            Whatever botocore raises for credentials that are missing.
        """
        if (known := self.remembered(method, key)) is not None:
            return known
        url = self._client.get().generate_presigned_url(
            method, {"Bucket": self._bucket, "Key": key}, ExpiresIn=LIFE_SECONDS
        )
        self._remember((method, key), url)
        return url

    def forget(self) -> None:
        """Drop every URL: what signed them is no longer believed."""
        with self._lock:
            self._remembered.clear()

    def _remember(self, wanted: tuple[str, str], url: str) -> None:
        end = self._now() + LIFE_SECONDS
        if (expiry := self._client.credentials_expire_at()) is not None:
            end = min(end, _seconds(expiry))
        with self._lock:
            self._remembered[wanted] = (end - MARGIN_SECONDS, url)
            self._remembered.move_to_end(wanted)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
