"""What an fsspec user already has is a root, and means what it means in fsspec."""

from __future__ import annotations

import logging
import uuid
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from upath import UPath

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.azure import AzureOptions
from assetstore.backends.base import read_bytes
from assetstore.backends.fsspec.backend import FilesystemBackend, MemoryBackend
from assetstore.backends.gcs import GCSOptions
from assetstore.backends.http import HttpBackend
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.s3.backend import S3Backend
from assetstore.backends.s3.client import S3Options
from assetstore.errors import BackendUnavailable, SettingsError


@pytest.fixture
def filled() -> str:
    """A folder of fsspec's memory with one file."""
    folder = f"/{uuid.uuid4().hex}"
    fsspec.filesystem("memory").pipe_file(f"{folder}/css/app.css", b"body")
    return folder


def holds_it(backend: Any) -> bool:
    return [each.path for each in backend.walk()] == ["css/app.css"] and read_bytes(backend, "css/app.css") == b"body"


def test_a_filesystem_with_a_path(filled: str) -> None:
    assert holds_it(open_backend((fsspec.filesystem("memory"), filled)))


def test_a_folder_of_a_filesystem(filled: str) -> None:
    assert holds_it(open_backend(DirFileSystem(filled, fs=fsspec.filesystem("memory"))))
    inside = open_backend((DirFileSystem(filled, fs=fsspec.filesystem("memory")), "css"))
    assert [each.path for each in inside.walk()] == ["app.css"]


def test_a_upath(filled: str) -> None:
    assert holds_it(open_backend(UPath(f"memory://{filled}")))


def test_a_local_filesystem_is_a_directory_with_all_its_safety(tmp_path: Path) -> None:
    for root in (
        (LocalFileSystem(), str(tmp_path)),
        DirFileSystem(str(tmp_path), fs=LocalFileSystem()),
        UPath(tmp_path),
    ):
        backend = open_backend(root)
        assert isinstance(backend, LocalBackend)
        assert backend.label == str(tmp_path)
    with pytest.raises(SettingsError, match="give a directory in it"):
        open_backend(LocalFileSystem())


def test_a_upath_of_a_scheme_with_a_native_backend_is_opened_natively() -> None:
    backend = open_backend(UPath("s3://bucket/media", key="AKIDEXAMPLE", secret="not-so-secret"))
    assert isinstance(backend, S3Backend)
    assert (backend.label, backend.options.aws_access_key_id) == ("s3://bucket/media", "AKIDEXAMPLE")


def test_it_serves_and_names_what_it_holds(filled: str) -> None:
    store = AssetStore()
    store.static("/media/", root=(fsspec.filesystem("memory"), filled), name="media", fingerprint="content")
    assert store.url_for("media", file="css/app.css").startswith("/media/css/app-")


def test_a_chained_url(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("pub/css/app.css", b"body")
    backend: Any = open_backend(f"zip://pub::file://{tmp_path}/x.zip")
    assert holds_it(backend)
    backend._fs.close()
    backend._fs.of.close()


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_caching_filesystem_is_what_it_caches(filled: str, cache: str) -> None:
    backend = open_backend(f"{cache}::memory://{filled}")
    assert isinstance(backend, MemoryBackend)
    assert holds_it(backend)
    fsspec.filesystem("memory").pipe_file(f"{filled}/css/app.css", b"new")
    assert read_bytes(backend, "css/app.css") == b"new"


def test_a_native_scheme_can_be_read_through_fsspec() -> None:
    native, through = open_backend("http://127.0.0.1/x"), open_backend("http://127.0.0.1/x", {"backend": "fsspec"})
    assert isinstance(native, HttpBackend)
    assert isinstance(through, FilesystemBackend)
    with pytest.raises(SettingsError, match="give 'native' or 'fsspec'"):
        open_backend("http://127.0.0.1/x", {"backend": "boto"})


def test_the_defaults_of_fsspec_hold_for_native_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = fsspec.config.conf
    monkeypatch.setitem(conf, "s3", {"key": "AKIDCONF", "secret": "s", "default_block_size": 5, "anon": False})
    monkeypatch.setitem(conf, "gs", {"project": "mine", "cache_timeout": 1})
    assert S3Options.of({}).aws_access_key_id == "AKIDCONF"
    given = S3Options.of({"aws_access_key_id": "AKIDGIVEN", "aws_secret_access_key": "x"})
    assert (given.aws_access_key_id, given.aws_secret_access_key) == ("AKIDGIVEN", "x")
    GCSOptions.of({})
    AzureOptions.of({"account_name": "x", "anon": True})


def test_the_nested_options_of_s3fs_are_known() -> None:
    nested = {"client_kwargs": {"endpoint_url": "http://minio:9000", "region_name": "eu-west-1"}}
    options = S3Options.of({"key": "k", "secret": "s", **nested})
    assert (options.endpoint_url, options.region_name) == ("http://minio:9000", "eu-west-1")


class TestSecrets:
    """Passwords and keys in a URL or in options are in no label, message, log or repr."""

    @pytest.mark.parametrize(
        "root",
        ["s3://AKIDEXAMPLE:TOPSECRET@bucket/media", "https://ada:TOPSECRET@cdn.example.com/", "gs://a:TOPSECRET@b"],
    )
    def test_a_native_url_with_a_key_is_refused_and_not_repeated(self, root: str) -> None:
        with pytest.raises(SettingsError) as told:
            open_backend(root)
        assert "TOPSECRET" not in str(told.value)

    def test_a_filesystem_repeats_none(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        class Leaky(fsspec.implementations.memory.MemoryFileSystem):
            protocol = "leaky"

            def __init__(self, username: str = "", password: str = "", **options: Any) -> None:
                super().__init__(**options)
                self.password = password

            @classmethod
            def _get_kwargs_from_urls(cls, path: str) -> dict[str, Any]:
                return {"username": "ada"}

            def info(self, path: str, **options: Any) -> Any:
                raise OSError(f"cannot log in with {self.password} at leaky://ada:WORDINURL@host")

            find = info

        fsspec.register_implementation("leaky", Leaky, clobber=True)
        monkeypatch.setattr("assetstore.backends.fsspec.backend.MemoryFileSystem", LocalFileSystem)
        backend = open_backend("leaky://ada:WORDINURL@host/x?sig=WORDINQUERY", {"password": "WORDINOPTION"})
        assert backend.label == "leaky://ada@host/x"
        with caplog.at_level(logging.DEBUG), pytest.raises(BackendUnavailable) as told:
            backend.stat("a.css")
        for word in ("WORDINURL", "WORDINOPTION", "WORDINQUERY"):
            assert word not in f"{told.value}{told.value.__cause__}{backend!r}{caplog.text}"
        with pytest.raises(BackendUnavailable) as told:
            list(backend.walk())
        assert "WORDINOPTION" not in f"{told.value}{told.value.__cause__}"
