"""A file as one page names it: its URL, whether that is on another host, and the integrity that goes with it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import MountNotFound, UnsafePath
from assetstore.templates.links import File, Link, Links, Verbatim

CDN = "https://cdn.example.com/"
PAGE = SimpleNamespace(url="https://www.example.com/page", scope={"root_path": "/shop"})


@pytest.fixture
def assets(asset_tree: Path) -> AssetStore:
    assets = AssetStore()
    assets.static("/assets/", root=asset_tree, name="assets", fingerprint="content")
    assets.static(CDN, root=asset_tree, name="media", fingerprint="content", origin_path="/media/")
    return assets


@pytest.fixture
def names(assets: AssetStore) -> Links:
    return Links(assets._urls, None)


def sha384(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


@pytest.mark.parametrize(
    ("file", "begins", "crosses"),
    [
        pytest.param("css/app.css", "/shop/assets/css/app-", False, id="a file of the default mount"),
        pytest.param("media:css/app.css", f"{CDN}css/app-", True, id="a file of a mount on another host"),
        pytest.param("js/lib/", "/shop/assets/js/lib/", False, id="a folder"),
        pytest.param("media:js/lib/", f"{CDN}js/lib/", False, id="a folder on another host is no file to check"),
        pytest.param("/vendor/x.js", "/vendor/x.js", False, id="a URL of the page's host"),
        pytest.param("https://www.example.com/x.js", "https://www.example.com/x.js", False, id="the same, in full"),
        pytest.param("https://esm.sh/x", "https://esm.sh/x", True, id="a URL of another host"),
    ],
)
def test_an_address_is_named_for_its_page(names: Links, file: str, begins: str, crosses: bool) -> None:
    named = names.name(file, PAGE)
    assert named.url.startswith(begins)
    assert named.crosses is crosses


def test_a_full_url_is_another_host_s_where_no_page_is_known(names: Links) -> None:
    assert names.name("https://www.example.com/x.js", None).crosses
    assert not names.name("css/app.css", None).crosses


def test_a_url_that_is_not_ours_has_neither_mount_nor_asset(names: Links) -> None:
    assert names.name("https://esm.sh/x?y=1", None) == Link("https://esm.sh/x?y=1", "/x", crosses=True)


def test_a_worker_is_on_this_server_whatever_the_mount(names: Links) -> None:
    named = names.name("media:js/app.min.js", PAGE, same_origin=True)
    assert named.url.startswith("/shop/media/js/app.min-")
    assert not named.crosses


@pytest.mark.parametrize("file", ["video:a.mp4", "video:clips/"])
def test_a_mount_that_is_not_there_is_an_error(names: Links, file: str) -> None:
    with pytest.raises(MountNotFound, match="'assets', 'media'"):
        names.name(file, None)


def test_an_unsafe_path_is_an_error(names: Links) -> None:
    with pytest.raises(UnsafePath):
        names.name("../secret", None)


class TestIntegrity:
    @pytest.mark.parametrize(
        ("file", "of_the_store", "wanted", "given"),
        [
            pytest.param("css/app.css", None, None, False, id="none on the page's own host"),
            pytest.param("media:css/app.css", None, None, True, id="some on another host"),
            pytest.param("css/app.css", None, True, True, id="some where it is asked for"),
            pytest.param("media:css/app.css", None, False, False, id="none where it is refused"),
            pytest.param("css/app.css", True, None, True, id="some where the store says so"),
            pytest.param("media:css/app.css", False, None, False, id="none where the store says so"),
            pytest.param("css/app.css", True, False, False, id="the file's own word counts"),
            pytest.param("media:no/such.css", None, True, False, id="none of a file that is missing"),
            pytest.param("js/lib/", True, True, False, id="none of a folder"),
            pytest.param("https://esm.sh/x", True, True, False, id="none of a URL that is not ours"),
        ],
    )
    def test_who_has_it(
        self, assets: AssetStore, file: str, of_the_store: bool | None, wanted: bool | None, given: bool
    ) -> None:
        names = Links(assets._urls, of_the_store)
        expected = sha384(b"one from css/app.css\n") if given else None
        named = names.name(file, PAGE)
        names.integrity(named, wanted)
        names.settle()
        assert names.integrity(named, wanted) == expected

    def test_what_is_given_as_text_is_that(self, names: Links) -> None:
        assert names.integrity(names.name("https://esm.sh/x", None), "sha384-x") == "sha384-x"


class TestModules:
    @pytest.mark.parametrize("address", [File(None, "js/"), Verbatim("https://esm.sh/x")], ids=["a folder", "a URL"])
    def test_what_is_no_file_of_ours_is_no_module(self, names: Links, address: Any) -> None:
        assert names.module(address) is None

    def test_a_file_is_a_module_of_its_mount(self, names: Links, assets: AssetStore) -> None:
        module = names.module(File("media", "js/app.min.js"))
        assert module is not None
        assert (module.mount, module.path) == (assets.mounts.named("media"), "js/app.min.js")
