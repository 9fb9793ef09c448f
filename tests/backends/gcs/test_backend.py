"""What is particular to Google Cloud Storage: options, credentials, stored headers, missing buckets."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials

from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WriteOptions, read_bytes
from assetstore.backends.gcs import GCSBackend
from assetstore.errors import (
    AssetNotFound,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    VersionChanged,
)
from servers.processes import free_port
from storages import gcs


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[GCSBackend]:
    with gcs({"a.css": b"a { color: red }"}, request) as storage:
        assert isinstance(storage.backend, GCSBackend)
        yield storage.backend


def test_an_unknown_option_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"know no 'tokn'; they are: .*token"):
        open_backend("gs://bucket", {"tokn": "anon"})


def test_a_limit_of_zero_is_an_error() -> None:
    with pytest.raises(SettingsError, match="above zero"):
        open_backend("gs://bucket", {"token": "anon", "max_connections": 0})


@pytest.mark.parametrize("url", ["gs://", "gs:///prefix", "gs://bucket/../other"])
def test_a_url_without_a_bucket_is_an_error(url: str) -> None:
    with pytest.raises(SettingsError, match="root"):
        open_backend(url, {"token": "anon"})


def test_a_service_account_that_cannot_be_read_is_an_error_at_wiring(tmp_path: object) -> None:
    with pytest.raises(SettingsError, match="service account"):
        open_backend("gs://bucket", {"token": f"{tmp_path}/missing.json"})
    with pytest.raises(SettingsError, match="service account"):
        open_backend("gs://bucket", {"token": {"type": "service_account"}})
    with pytest.raises(SettingsError, match="of type int"):
        open_backend("gs://bucket", {"token": 7})


def test_without_credentials_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/credentials.json")
    with pytest.raises(SettingsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        open_backend("gs://bucket")


def test_the_emulator_is_found_by_its_environment_variable(
    gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with gcs({"a.css": b"red"}, request) as storage:
        assert isinstance(storage.backend, GCSBackend)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
        backend = open_backend(storage.backend.label)
        assert read_bytes(backend, "a.css") == b"red"
        backend.close()  # type: ignore[attr-defined]


def test_credentials_of_the_users_own_are_taken(gcs_endpoint: str) -> None:
    backend = open_backend("gs://bucket", {"token": AnonymousCredentials(), "endpoint": gcs_endpoint})
    assert backend.label == "gs://bucket"


def test_a_missing_bucket_is_not_a_missing_file(gcs_endpoint: str) -> None:
    backend = open_backend("gs://nobody-has-this/pre", {"token": "anon", "endpoint": gcs_endpoint})
    with contextlib.closing(backend), pytest.raises(BackendUnavailable):  # type: ignore[type-var]
        backend.stat("a.css")
    with contextlib.closing(backend), pytest.raises(BackendUnavailable):  # type: ignore[type-var]
        list(backend.walk())


def test_an_endpoint_that_nobody_answers_fails_at_once() -> None:
    backend = open_backend("gs://bucket", {"token": "anon", "endpoint": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(BackendUnavailable) as caught:
        backend.stat("a.css")
    assert not isinstance(caught.value, BackendTimeout)


def test_headers_and_metadata_are_stored_and_reported(backend: GCSBackend) -> None:
    digest = "5" * 64
    options = WriteOptions(
        "text/css; charset=utf-8",
        "public, max-age=60",
        "gzip",
        extra={"Content-Disposition": "attachment", "Content-Language": "de"},
        metadata={"assetstore-fingerprint": digest},
    )
    backend.write("b.css", BytesFile.of("b.css", b"\x1f\x8b not really"), options)
    stat = backend.stat("b.css")
    assert (stat.coding, stat.published_fingerprint) == ("gzip", digest)
    assert read_bytes(backend, "b.css") == b"\x1f\x8b not really"  # as it is stored, not decoded
    blob = backend.client.get().get_blob("pre/b.css")
    assert blob is not None
    assert (blob.cache_control, blob.content_disposition, blob.content_language, blob.content_type) == (
        "public, max-age=60",
        "attachment",
        "de",
        "text/css; charset=utf-8",
    )


def test_a_header_that_cannot_be_stored_is_said_once(backend: GCSBackend, caplog: pytest.LogCaptureFixture) -> None:
    options = WriteOptions("text/css", "no-cache", extra={"X-Robots-Tag": "noindex"})
    for name in ("b.css", "c.css"):
        backend.write(name, BytesFile.of(name, b"b"), options)
    assert [each.message for each in caplog.records if "X-Robots-Tag" in each.message] != []
    assert sum("X-Robots-Tag" in each.message for each in caplog.records) == 1


def test_a_version_is_replaced_only_if_it_is_the_one_expected(backend: GCSBackend) -> None:
    first = backend.stat("a.css").validator
    plain = WriteOptions("text/css", "no-cache", if_validator=first)
    second = backend.write("a.css", BytesFile.of("a.css", b"second"), plain)
    assert second.validator != first
    with pytest.raises(PublishConflict, match="no longer the version"):
        backend.write("a.css", BytesFile.of("a.css", b"third"), plain)
    with pytest.raises(PublishConflict):
        backend.write("a.css", BytesFile.of("a.css", b"x"), WriteOptions("a/b", "", if_validator="no number"))
    assert read_bytes(backend, "a.css") == b"second"
    with pytest.raises(VersionChanged):
        backend.open("a.css", validator=first)


def test_other_bytes_than_the_digest_names_are_not_stored(backend: GCSBackend) -> None:
    with pytest.raises(BodyTruncated, match="SHA-256"):
        backend.write("b.css", BytesFile.of("b.css", b"b"), WriteOptions("text/css", "", sha256="0" * 64))
    with pytest.raises(AssetNotFound):
        backend.stat("b.css")


def test_a_large_object_is_written_in_parts_and_read_in_ranges(backend: GCSBackend) -> None:
    content = bytes(range(256)) * 80_000  # 20 MB: resumable, and five ranged reads
    backend.write("big.bin", BytesFile.of("big.bin", content), WriteOptions("application/octet-stream", ""))
    assert read_bytes(backend, "big.bin") == content


def test_a_key_that_is_too_long_is_a_missing_file(backend: GCSBackend) -> None:
    with pytest.raises(AssetNotFound, match="longer than 1024 bytes"):
        backend.stat("x" * 200 + "/" + "y" * 200 + "/" + "z" * 200 + "/" + "w" * 200 + "/" + "v" * 217)


def test_secrets_stay_out_of_the_repr() -> None:
    token = {"type": "service_account", "private_key": "SECRET"}
    with pytest.raises(SettingsError) as caught:
        open_backend("gs://bucket", {"token": token})
    assert "SECRET" not in str(caught.value)
    assert json.dumps(token) not in repr(caught.value)
