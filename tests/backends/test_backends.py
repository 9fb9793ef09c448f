"""Which backend a root names, and what is said when it names none."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import known_implementations

from assetstore.backends import open_backend
from assetstore.backends.fsspec.backend import FilesystemBackend
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.objects import KNOWN
from assetstore.backends.reader import ThreadReader, reader_of
from assetstore.errors import SettingsError


def test_a_directory_is_local(tmp_path: Path) -> None:
    for root in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        backend = open_backend(root)
        assert isinstance(backend, LocalBackend)
        assert backend.label == str(tmp_path)
        assert not backend.remote


def test_a_url_of_fsspec_is_a_filesystem() -> None:
    backend = open_backend("memory://some/where")
    assert isinstance(backend, FilesystemBackend)
    assert backend.label == "memory://some/where"


def test_a_backend_is_itself(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    assert open_backend(backend) is backend


def test_a_tree_built_later_is_a_switch(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must_exist=False"):
        open_backend(tmp_path / "dist")
    open_backend(tmp_path / "dist", must_exist=False)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("", "root is empty"),
        (None, "root must be a directory"),
        (3, "root must be a directory"),
        ("nosuch://bucket", "unknown scheme 'nosuch'"),
    ],
)
def test_a_malformed_root_says_what_is_wrong(root: object, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_backend(root)  # type: ignore[arg-type]


def test_options_of_a_bucket_are_idle_on_a_directory_and_an_error_on_a_backend(tmp_path: Path) -> None:
    open_backend(tmp_path, {"endpoint_url": "http://127.0.0.1"})
    with pytest.raises(SettingsError, match="did you mean 'endpoint_url'"):
        open_backend(tmp_path, {"endpoint_ur": "http://127.0.0.1"})
    with pytest.raises(SettingsError, match="storage_options"):
        open_backend(LocalBackend(tmp_path), {"endpoint_url": "http://127.0.0.1"})


def test_the_options_that_are_known_are_those_of_the_backends() -> None:
    from assetstore.backends.azure import AzureOptions
    from assetstore.backends.gcs import GCSOptions
    from assetstore.backends.s3.client import S3Options

    real = {each.name for cls in (AzureOptions, GCSOptions, S3Options) for each in dataclasses.fields(cls)}
    assert real <= KNOWN


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if *packages* were not installed, and nothing that needs them was imported yet."""
    for name in list(sys.modules):
        if name.startswith("assetstore.backends.s3"):
            monkeypatch.delitem(sys.modules, name)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_a_bucket_without_boto3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "boto3")
    with pytest.raises(SettingsError, match=r"pip install 'assetstore\[s3\]'"):
        open_backend("s3://bucket")


def test_a_filesystem_without_its_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "no_such_library.FileSystem"
    monkeypatch.setitem(known_implementations, "lacking", {"class": absent, "err": "Install it"})
    with pytest.raises(SettingsError, match="needs a library that is not installed"):
        open_backend("lacking://host/assets")


def test_a_bucket_without_aiohttp_is_read_by_boto3_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "aiohttp")
    backend = open_backend("s3://bucket", {"region": "us-east-1", "anon": True, "max_connections": 7})
    reader = reader_of(backend)
    assert isinstance(reader, ThreadReader)
    assert reader._limiter.total_tokens == 7
    wanted = open_backend("s3://bucket", {"region": "us-east-1", "anon": True, "reader": "aiohttp"})
    with pytest.raises(SettingsError, match=r"pip install 'assetstore\[s3\]'"):
        reader_of(wanted)


def test_a_bucket_is_opened_without_the_network_and_its_url_is_its_label() -> None:
    backend = open_backend("s3://bucket/some/prefix/", {"region": "eu-west-1", "anon": True})
    assert backend.label == "s3://bucket/some/prefix"
    assert backend.remote


def test_an_http_origin_needs_urllib3_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "boto3", "botocore", "aiohttp")
    assert open_backend("https://cdn.example.com/static").label == "https://cdn.example.com/static"


def test_a_listing_has_the_hidden_names_that_were_named(tmp_path: Path) -> None:
    for name in (".well-known/security.txt", ".foo/a.txt", ".bar/a.txt", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    fsspec.filesystem("memory").put(f"{tmp_path}/", "/hidden-names/", recursive=True)
    try:
        for root in (str(tmp_path), "memory://hidden-names"):
            for names in (frozenset({".well-known"}), frozenset({".well-known", ".foo"})):
                backend = open_backend(root)
                backend.dot_names = names
                listed = {stat.path for stat in backend.walk()}
                assert listed == {"a.txt", ".well-known/security.txt", *([".foo/a.txt"] if ".foo" in names else [])}
    finally:
        fsspec.filesystem("memory").rm("/hidden-names", recursive=True)
