"""What is particular to Azure Blob Storage: options, credentials, stored headers, folders, missing containers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assetstore.backends import open_backend
from assetstore.backends.azure import AzureBackend
from assetstore.backends.base import BytesFile, Span, WriteOptions, read_bytes
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    RangeNotSatisfiable,
    SettingsError,
    VersionChanged,
)
from servers.emulators import ACCOUNT, KEY
from servers.processes import free_port
from storages import azure


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[AzureBackend]:
    with azure({"a.css": b"a { color: red }"}, request) as storage:
        assert isinstance(storage.backend, AzureBackend)
        yield storage.backend


def test_an_unknown_option_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"know no 'acount'; they are: .*account_name"):
        open_backend("az://container", {"acount": "x"})


@pytest.mark.parametrize("url", ["az://", "az:///prefix", "abfs://container/../other"])
def test_a_url_without_a_container_is_an_error(url: str) -> None:
    with pytest.raises(SettingsError, match="root"):
        open_backend(url, {"account_name": ACCOUNT, "account_key": KEY})


def test_without_an_account_the_message_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING"):
        open_backend("az://container")


def test_a_connection_string_that_is_none_is_an_error() -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        open_backend("az://container", {"connection_string": "nonsense"})


@pytest.mark.parametrize("url", ["az://{}/pre", "abfs://{}/pre", "abfss://{}/pre"])
def test_the_account_comes_from_the_environment(
    url: str, azure_url: str, backend: AzureBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azure_url};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    container = backend.label.removeprefix("az://").partition("/")[0]
    other = open_backend(url.format(container))
    assert read_bytes(other, "a.css") == b"a { color: red }"
    other.close()  # type: ignore[attr-defined]


def test_the_account_can_stand_in_the_url() -> None:
    backend = open_backend("abfs://site@shopassets.dfs.core.windows.net/pre", {"account_key": KEY})
    assert isinstance(backend, AzureBackend)
    assert backend.client.get().account_name == "shopassets"
    assert backend.label == "az://site/pre"


def test_a_wrong_key_is_a_fault_of_the_credentials(azure_url: str, backend: AzureBackend) -> None:
    wrong = {"account_url": azure_url, "account_name": ACCOUNT, "account_key": "d3Jvbmc="}
    with pytest.raises((BackendCredentials, BackendForbidden)):  # Azurite says AuthorizationFailure
        open_backend(backend.label, wrong).stat("a.css")


def test_a_missing_container_is_not_a_missing_file(azure_url: str) -> None:
    options = {"account_url": azure_url, "account_name": ACCOUNT, "account_key": KEY}
    missing = open_backend("az://nobody-has-this/pre", options)
    with pytest.raises(BackendUnavailable):
        missing.open("a.css")
    with pytest.raises(BackendUnavailable):
        list(missing.walk())


def test_an_endpoint_that_nobody_answers_fails_at_once() -> None:
    url = f"http://127.0.0.1:{free_port()}/{ACCOUNT}"
    backend = open_backend("az://container", {"account_url": url, "account_name": ACCOUNT, "account_key": KEY})
    with pytest.raises(BackendUnavailable) as caught:
        backend.stat("a.css")
    assert not isinstance(caught.value, BackendTimeout)


def test_headers_and_metadata_are_stored_and_reported(backend: AzureBackend) -> None:
    digest = "5" * 64
    options = WriteOptions(
        "text/css; charset=utf-8",
        "public, max-age=60",
        "gzip",
        extra={"Content-Disposition": "attachment", "Content-Language": "de"},
        metadata={"assetstore-fingerprint": digest},
    )
    written = backend.write("b.css", BytesFile.of("b.css", b"\x1f\x8b not really"), options)
    stat = backend.stat("b.css")
    assert (stat.coding, stat.published_fingerprint, stat.validator) == ("gzip", digest, written.validator)
    assert read_bytes(backend, "b.css") == b"\x1f\x8b not really"
    blob = backend.client.get().get_blob_client("pre/b.css").get_blob_properties()
    settings = blob.content_settings
    assert blob.metadata == {"assetstore_fingerprint": digest}
    assert (settings.cache_control, settings.content_disposition, settings.content_language) == (
        "public, max-age=60",
        "attachment",
        "de",
    )


def test_a_version_is_replaced_only_if_it_is_the_one_expected(backend: AzureBackend) -> None:
    first = backend.stat("a.css").validator
    plain = WriteOptions("text/css", "no-cache", if_validator=first)
    assert backend.write("a.css", BytesFile.of("a.css", b"second"), plain).validator != first
    with pytest.raises(PublishConflict, match="no longer the version"):
        backend.write("a.css", BytesFile.of("a.css", b"third"), plain)
    assert read_bytes(backend, "a.css") == b"second"
    with pytest.raises(VersionChanged):
        backend.open("a.css", Span(-3), validator=first)


def test_other_bytes_than_the_digest_names_are_not_stored(backend: AzureBackend) -> None:
    with pytest.raises(BodyTruncated, match="SHA-256"):
        backend.write("b.css", BytesFile.of("b.css", b"b"), WriteOptions("text/css", "", sha256="0" * 64))
    with pytest.raises(AssetNotFound):
        backend.stat("b.css")


def test_a_large_object_is_written_in_blocks_and_read_in_ranges(backend: AzureBackend) -> None:
    content = bytes(range(256)) * 80_000  # 20 MB: three blocks, and five ranged reads
    backend.write("big.bin", BytesFile.of("big.bin", content), WriteOptions("application/octet-stream", ""))
    assert read_bytes(backend, "big.bin") == content


def test_a_folder_of_a_hierarchical_namespace_is_no_file(backend: AzureBackend) -> None:
    backend.client.get().upload_blob("pre/img", b"", metadata={"hdi_isfolder": "true"})
    with pytest.raises(AssetNotFound):
        backend.stat("img")
    with pytest.raises(AssetNotFound):
        backend.open("img")
    assert [stat.path for stat in backend.walk()] == ["a.css"]


def test_a_span_past_the_end_tells_the_size(backend: AzureBackend) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        backend.open("a.css", Span(1000, 2000))
    assert caught.value.size == 16


def test_secrets_stay_out_of_label_and_repr() -> None:
    backend = open_backend("az://container", {"account_name": ACCOUNT, "account_key": KEY})
    assert isinstance(backend, AzureBackend)
    assert KEY not in backend.label + repr(backend) + repr(backend.client.options)
