"""Mounts: unique, longest prefix first, each on its own host."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.errors import MountNotFound, SettingsError
from assetstore.mounts.mount import allowed_extensions


@pytest.fixture
def store() -> AssetStore:
    return AssetStore()


def where(store: AssetStore, path: str, host: str = "localhost") -> list[tuple[str | None, str]]:
    return [(mount.name, rest) for mount, _, rest in store.mounts.at(host, path)]


def test_the_longest_prefix_comes_first_wherever_it_was_added(store: AssetStore, asset_tree: Path) -> None:
    store.static("/assets/", root=asset_tree, name="short")
    store.static("/assets/vendor/", root=asset_tree, name="long")
    assert where(store, "/assets/vendor/x.js") == [("long", "x.js"), ("short", "vendor/x.js")]


def test_a_prefix_ends_at_a_slash(store: AssetStore, asset_tree: Path) -> None:
    store.static("/assets/", root=asset_tree, name="assets")
    assert where(store, "/assetsx/app.css") == []
    assert where(store, "/assets") == []


def test_a_mount_with_a_host_answers_there_alone_and_before_the_others(store: AssetStore, asset_tree: Path) -> None:
    store.static("/assets/", root=asset_tree, name="everywhere")
    store.static("/assets/", root=asset_tree, name="there", host="static.example.com")
    assert where(store, "/assets/x", "Static.Example.com:8000") == [("there", "x"), ("everywhere", "x")]
    assert where(store, "/assets/x", "www.example.com") == [("everywhere", "x")]


def test_two_mounts_of_one_name_are_an_error_that_names_both(store: AssetStore, asset_tree: Path) -> None:
    store.static("/a/", root=asset_tree, name="assets")
    with pytest.raises(SettingsError, match=r"two mounts are named 'assets'.*/a/.*/b/"):
        store.static("/b/", root=asset_tree, name="assets")


def test_two_mounts_on_one_prefix_are_an_error_that_names_both(store: AssetStore, asset_tree: Path) -> None:
    store.static("/a/", root=asset_tree, name="one")
    with pytest.raises(SettingsError, match=r"'one'.*'two'.*'/a/'"):
        store.static("/a", root=asset_tree, name="two")


def test_two_cdn_mounts_need_origin_paths_of_their_own(store: AssetStore, asset_tree: Path) -> None:
    store.static("https://cdn.example.com/a/", root=asset_tree, name="one")
    with pytest.raises(SettingsError, match="origin_path="):
        store.static("https://cdn.example.com/b/", root=asset_tree, name="two")
    store.static("https://cdn.example.com/b/", root=asset_tree, name="two", origin_path="/b-assets/")


def test_an_error_leaves_no_half_of_a_mount_behind(store: AssetStore, asset_tree: Path) -> None:
    store.static("/a/", root=asset_tree, name="one")
    with pytest.raises(SettingsError):
        store.static("https://cdn.example.com/b/", root=asset_tree, name="two", origin_path="/a/")
    assert where(store, "/b/x") == []
    assert store.mounts.names == ["one"]


def test_an_unknown_mount_is_an_error_that_names_the_known_ones(store: AssetStore, asset_tree: Path) -> None:
    store.static("/a/", root=asset_tree, name="one")
    with pytest.raises(MountNotFound, match="no mount is named 'assets'; the mounts are: 'one'"):
        store.url_for("assets", file="x")


@pytest.mark.parametrize("given", [".css", 3, ["css"], [1], [".min.js"]])
def test_a_malformed_extension_list_is_an_error_that_shows_a_good_one(given: object) -> None:
    with pytest.raises(SettingsError, match=r"\['\.css', '\.js', ''\]|'\.js'"):
        allowed_extensions(given)


def test_extensions_are_compared_without_regard_to_case() -> None:
    assert allowed_extensions([".CSS", ""]) == {".css", ""}
