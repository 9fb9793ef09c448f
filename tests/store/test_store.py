"""The store as its user holds it: url_for and what a page gets from it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.errors import AssetNotFound, MountNotFound, UnsafePath


def sha256_of_mtime(file: Path) -> str:
    return hashlib.sha256(str(file.stat().st_mtime_ns).encode()).hexdigest()


@pytest.fixture
def store(asset_tree: Path) -> AssetStore:
    store = AssetStore()
    store.static("/assets/", root=asset_tree, name="assets")
    return store


def test_a_url_carries_the_sha256_of_the_modified_time(store: AssetStore, asset_tree: Path) -> None:
    expected = f"/assets/css/app-{sha256_of_mtime(asset_tree / 'css/app.css')}.css"
    assert store.url_for("assets", file="css/app.css") == expected


def test_a_name_that_needs_it_is_percent_encoded(store: AssetStore, asset_tree: Path) -> None:
    (asset_tree / "a b#c?d%e.css").write_text("x")
    assert store.url_for("assets", file="a b#c?d%e.css").startswith("/assets/a%20b%23c%3Fd%25e-")


def test_a_missing_file_gives_the_plain_url_and_one_warning_with_close_names(
    store: AssetStore, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert store.url_for("assets", file="css/ap.css") == "/assets/css/ap.css"
    assert len(caplog.records) == 1
    assert "did you mean 'css/app.css'" in caplog.text


def test_a_strict_store_raises_for_a_missing_file(asset_tree: Path) -> None:
    store = AssetStore(ASSETS_STRICT=True)
    store.static("/assets/", root=asset_tree, name="assets")
    with pytest.raises(AssetNotFound, match="did you mean 'css/app.css'"):
        store.url_for("assets", file="css/ap.css")


@pytest.mark.parametrize("file", ["/css/app.css", "../app.css", "css/../app.css", "", ".env", "css\\app.css"])
def test_an_unsafe_path_is_an_error(store: AssetStore, file: str) -> None:
    with pytest.raises(UnsafePath):
        store.url_for("assets", file=file)


def test_a_file_outside_allowed_ext_counts_as_missing(asset_tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = AssetStore()
    store.static("/assets/", root=asset_tree, name="assets", allowed_ext=[".css"])
    assert store.url_for("assets", file="js/app.min.js") == "/assets/js/app.min.js"
    assert "allowed_ext" in caplog.text


def test_a_file_made_after_start_up_is_found(store: AssetStore, asset_tree: Path) -> None:
    store.url_for("assets", file="late.css")
    (asset_tree / "late.css").write_text("late")
    deadline = time.monotonic() + 1
    while store.url_for("assets", file="late.css") == "/assets/late.css":
        assert time.monotonic() < deadline, "a new file must be seen within a second"
        time.sleep(0.02)


def test_a_saved_file_has_a_new_url_within_a_second(store: AssetStore, asset_tree: Path) -> None:
    before = store.url_for("assets", file="css/app.css")
    os.utime(asset_tree / "css/app.css", ns=(10**18, 1_700_000_000_000_000_001))
    deadline = time.monotonic() + 1
    while store.url_for("assets", file="css/app.css") == before:
        assert time.monotonic() < deadline, "a saved file must be seen within a second"
        time.sleep(0.02)
    assert store.url_for("assets", file="css/app.css").endswith(f"{sha256_of_mtime(asset_tree / 'css/app.css')}.css")


def test_a_mount_without_fingerprints_has_stable_urls(store: AssetStore, asset_tree: Path) -> None:
    store.static("/og", root=asset_tree, name="og", fingerprint=False)
    assert store.url_for("og", file="favicon.ico") == "/og/favicon.ico"


def test_a_content_fingerprint_is_the_sha256_of_the_bytes(store: AssetStore, asset_tree: Path) -> None:
    store.static("/c/", root=asset_tree, name="content", fingerprint="content")
    file = asset_tree / "css/app.css"
    expected = f"/c/css/app-{hashlib.sha256(file.read_bytes()).hexdigest()}.css"
    assert store.url_for("content", file="css/app.css") == expected
    os.utime(file, ns=(10**18, 10**18))
    time.sleep(0.5)
    assert store.url_for("content", file="css/app.css") == expected


@pytest.mark.parametrize(
    ("assets_url", "begins"),
    [
        pytest.param("https://cdn.example.com/", "https://cdn.example.com/css/app-", id="at the CDN's root"),
        pytest.param("https://cdn.example.com", "https://cdn.example.com/css/app-", id="without the closing slash"),
        pytest.param("https://cdn.example.com/static/", "https://cdn.example.com/static/css/app-", id="below a path"),
    ],
)
def test_a_full_assets_url_gives_absolute_urls(asset_tree: Path, assets_url: str, begins: str) -> None:
    store = AssetStore(ASSETS_URL=assets_url)
    store.static(store.settings.ASSETS_URL, root=asset_tree, name="assets")
    assert store.url_for("assets", file="css/app.css").startswith(begins)


def test_a_host_gives_urls_that_name_it(store: AssetStore, asset_tree: Path) -> None:
    store.static("/s/", root=asset_tree, name="hosted", host="static.example.com", fingerprint=False)
    assert store.url_for("hosted", file="favicon.ico") == "//static.example.com/s/favicon.ico"


def test_root_files_need_their_mount_first() -> None:
    with pytest.raises(MountNotFound):
        AssetStore().root_files("favicon.ico")
