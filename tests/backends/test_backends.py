"""Which backend a root names, and what is said when it names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore.backends import open_backend
from assetstore.backends.filesystem import FilesystemBackend
from assetstore.backends.local import LocalBackend
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
        ("simplecache::memory://x", "old bytes"),
    ],
)
def test_a_malformed_root_says_what_is_wrong(root: object, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_backend(root)  # type: ignore[arg-type]


def test_options_without_a_url_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="storage_options"):
        open_backend(tmp_path, {"endpoint_url": "http://127.0.0.1"})
    with pytest.raises(SettingsError, match="storage_options"):
        open_backend(LocalBackend(tmp_path), {"endpoint_url": "http://127.0.0.1"})
