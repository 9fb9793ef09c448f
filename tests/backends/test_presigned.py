"""Presigned URLs of S3, Cloud Storage and Azure: they give the one file, with the wanted headers, for a while."""

from __future__ import annotations

import time
import urllib.error
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import _signing

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.azure import AzureBackend
from assetstore.backends.base import BytesFile, Presigns, WritableBackend, WriteOptions
from assetstore.backends.gcs import GCSBackend
from assetstore.errors import AssetNotFound, SettingsError
from servers.emulators import ACCOUNT, KEY, signing_credentials
from servers.s3 import S3Bucket

NAME = "video/a b+ü&c~.mp4"
PLAIN, IMMUTABLE = "max-age=0, public, must-revalidate", "max-age=31536000, public, immutable"


@pytest.fixture(params=["s3", "gs", "az"])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "s3":
        bucket: S3Bucket = request.getfixturevalue("moto_bucket")
        yield open_backend(f"{bucket.url}/media", bucket.server.options)
        return
    name = f"presigned-{uuid.uuid4().hex[:10]}"
    if request.param == "gs":
        options = {"endpoint": request.getfixturevalue("gcs_endpoint"), "token": signing_credentials(), "project": "p"}
        made: Any = open_backend(f"gs://{name}/media", options)
        made.client.get().client.create_bucket(name)
    else:
        options = {"account_url": request.getfixturevalue("azure_url"), "account_name": ACCOUNT, "account_key": KEY}
        made = open_backend(f"az://{name}/media", options)
        made.client.get().create_container()
    yield made
    made.close()


def put(backend: WritableBackend, path: str, data: bytes, **options: Any) -> str | None:
    stat = backend.write(path, BytesFile.of(path, data), WriteOptions("application/octet-stream", PLAIN, **options))
    return stat.validator


def fetch(url: str, **headers: str) -> tuple[int, bytes, Any]:
    request = Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urlopen(request, timeout=10) as reply:
            return reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def test_a_url_gives_the_file_without_credentials(backend: Any) -> None:
    put(backend, NAME, b"bytes")
    assert isinstance(backend, Presigns)
    backend.require_signing()
    signed = backend.presigned_url(NAME, content_type="video/mp4", cache_control=IMMUTABLE, seconds=600)
    assert signed.if_match is None
    assert 590 < signed.until - time.time() <= 600
    status, body, headers = fetch(signed.url)
    assert (status, body) == (200, b"bytes")
    assert fetch(signed.url, Range="bytes=1-2")[:2] == (206, b"yt")
    if not isinstance(backend, GCSBackend):  # fake-gcs-server does not know these parameters
        assert (headers["content-type"], headers["cache-control"]) == ("video/mp4", IMMUTABLE)
    else:
        query = parse_qs(urlsplit(signed.url).query)
        assert query["response-content-type"] == ["video/mp4"]
        assert query["response-cache-control"] == [IMMUTABLE]
        assert query["X-Goog-Expires"] in (["600"], ["599"])


def test_a_url_for_a_version_gives_no_other(backend: Any) -> None:
    validator = put(backend, NAME, b"first")
    signed = backend.presigned_url(
        NAME, content_type="video/mp4", cache_control=IMMUTABLE, seconds=600, validator=validator
    )
    condition = {} if signed.if_match is None else {"If_Match": signed.if_match}
    assert fetch(signed.url, **condition)[:2] == (200, b"first")
    put(backend, NAME, b"other")
    status, body, _ = fetch(signed.url, **condition)
    assert body != b"other"
    assert status in {200, 404, 412}  # fake-gcs-server keeps the generation before


def test_a_key_that_cannot_be_is_no_url(backend: Any) -> None:
    with pytest.raises(AssetNotFound):
        backend.presigned_url("x" * 2000, content_type="a/b", cache_control=PLAIN, seconds=60)


def test_an_attached_service_account_signs_by_iam(monkeypatch: pytest.MonkeyPatch, gcs_endpoint: str) -> None:
    """Compute Engine, Cloud Run and GKE give a token and no key ("signBlob" of the IAM credentials API)."""

    class Attached(AnonymousCredentials):  # type: ignore[misc]
        service_account_email = "default"  # until it is refreshed, as google.auth.compute_engine has it
        valid = False

        def refresh(self, request: object) -> None:
            self.service_account_email, self.token = "runner@example.iam.gserviceaccount.com", "token"

    asked: list[tuple[str, str]] = []

    def sign(message: str, access_token: str, email: str, universe: object = None) -> str:
        asked.append((access_token, email))
        return "c2lnbmVk"

    monkeypatch.setattr(_signing, "_sign_message", sign)
    backend: Any = open_backend("gs://bucket", {"endpoint": gcs_endpoint, "token": Attached(), "project": "p"})
    backend.require_signing()
    url = backend.presigned_url("a.mp4", content_type="video/mp4", cache_control=PLAIN, seconds=60).url
    assert asked == [("token", "runner@example.iam.gserviceaccount.com")]
    assert parse_qs(urlsplit(url).query)["X-Goog-Credential"][0].startswith("runner@example.iam.gserviceaccount.com/")
    backend.close()


def test_an_identity_signs_with_a_key_that_azure_gives_it_for_hours() -> None:
    class Identity:
        def get_token(self, *scopes: str, **options: Any) -> Any:
            raise AssertionError("no request is sent for a signature")

    options = {"account_name": "shop", "credential": Identity()}
    backend = open_backend("az://media", options)
    assert isinstance(backend, AzureBackend)
    backend.require_signing()
    asked: list[Any] = []

    def give(start: Any, end: Any) -> Any:
        from azure.storage.blob import UserDelegationKey

        asked.append((start, end))
        key = UserDelegationKey()
        key.signed_oid, key.signed_tid, key.value = "the-object", "the-tenant", KEY
        key.signed_start = key.signed_expiry = "2026-11-28T00:00:00Z"
        key.signed_service, key.signed_version = "b", "2022-11-02"
        return key

    backend.client.service.get_user_delegation_key = give  # type: ignore[method-assign]
    urls = [
        backend.presigned_url(name, content_type="a/b", cache_control=PLAIN, seconds=3600).url
        for name in ("a.mp4", "b.mp4")
    ]
    assert len(asked) == 1
    query = parse_qs(urlsplit(urls[0]).query)
    assert (query["skoid"], query["sp"], query["sr"]) == (["the-object"], ["r"], ["b"])
    assert urls[0].startswith("https://shop.blob.core.windows.net/media/a.mp4?")
    backend.close()


@pytest.mark.parametrize(
    ("root", "options", "said"),
    [
        pytest.param("s3://bucket", {"unsigned": True}, r"s3://bucket is read without credentials", id="S3"),
        pytest.param(
            "gs://bucket", {"token": "anon"}, r"AnonymousCredentials; give storage_options=\{'token'", id="GCS"
        ),
        pytest.param(
            "az://container",
            {"account_name": "shop", "sas_token": "sv=2022-11-02&sig=x"},
            "a shared access signature, or without credentials; give storage_options an account_key",
            id="Azure with a SAS",
        ),
        pytest.param("az://container", {"account_name": "shop", "anon": True}, "account_key", id="Azure without"),
    ],
)
@pytest.mark.parametrize("way", ["redirect", "proxy"])
def test_credentials_that_cannot_sign_are_refused_at_wiring(root: str, options: Any, said: str, way: Any) -> None:
    with pytest.raises(SettingsError, match=said):
        AssetStore({}).static("/m/", root=root, storage_options=options, delivery=way)
    AssetStore({}).static("/m/", root=root, storage_options=options).close()
