"""Presigned URLs are signed once, and never outlive what signed them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from assetstore.backends.s3 import presign as s3_presign
from assetstore.backends.s3.client import Client, S3Options
from assetstore.backends.s3.presign import LIFE_SECONDS, MARGIN_SECONDS, Presigner


class CountingClient(Client):
    """A client whose signatures are counted, with credentials that end when a test says."""

    def __init__(self, expires: float | None = None) -> None:
        super().__init__(S3Options.of({"key": "k", "secret": "s", "region": "eu-west-1"}))
        self.signed: list[tuple[str, str]] = []
        self.expires = expires

    def get(self) -> Any:
        real = super().get()
        outer = self

        class Signing:
            def generate_presigned_url(self, method: str, params: dict[str, str], **rest: Any) -> str:
                outer.signed.append((method, params["Key"]))
                return real.generate_presigned_url(method, params, **rest)

        return Signing()

    def credentials_expire_at(self) -> datetime | None:
        return None if self.expires is None else datetime.fromtimestamp(self.expires, UTC)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_is_signed_once_per_method(clock: Clock) -> None:
    client = CountingClient()
    presigner = Presigner(client, "bucket", now=clock)
    urls = {presigner.url("GET", "a b.css") for _ in range(3)}
    assert len(urls) == 1
    assert "a%20b.css?" in urls.pop()
    presigner.url("HEAD", "a b.css")
    assert client.signed == [("get_object", "a b.css"), ("head_object", "a b.css")]
    presigner.url("GET", "another.css")
    assert len(client.signed) == 2, "the others are made like the first"


def test_a_url_is_signed_anew_before_its_end(clock: Clock) -> None:
    client = CountingClient()
    presigner = Presigner(client, "bucket", now=clock)
    presigner.url("GET", "a")
    clock.now += LIFE_SECONDS - MARGIN_SECONDS - 1
    assert presigner.cached("GET", "a") is not None
    clock.now += 2
    assert presigner.cached("GET", "a") is None
    presigner.url("GET", "a")
    assert len(client.signed) == 2


def test_a_url_never_outlives_the_credentials(clock: Clock) -> None:
    client = CountingClient(expires=clock.now + MARGIN_SECONDS + 60)
    presigner = Presigner(client, "bucket", now=clock)
    presigner.url("GET", "a")
    clock.now += 59
    assert presigner.cached("GET", "a") is not None
    clock.now += 2
    assert presigner.cached("GET", "a") is None


def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_presign, "MAX_URLS", 3)
    presigner = Presigner(CountingClient(), "bucket", now=clock)
    for number in range(10):
        presigner.url("GET", str(number))
    assert len(presigner._urls) == 3


def test_forgetting_signs_anew(clock: Clock) -> None:
    client = CountingClient()
    presigner = Presigner(client, "bucket", now=clock)
    presigner.url("GET", "a")
    presigner.forget()
    assert presigner.cached("GET", "a") is None


def test_a_public_bucket_needs_no_signature(clock: Clock) -> None:
    client = Client(S3Options.of({"anon": True, "region": "eu-west-1"}))
    assert "?" not in Presigner(client, "bucket", now=clock).url("GET", "a.css")
    client.close()
