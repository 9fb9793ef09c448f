"""``url_for``: what is found is named by its fingerprint, what is not by its plain path, and nothing is remembered too long."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from assetstore.errors import AssetNotFound, MountNotFound, UnsafePath
from assetstore.mounts import url_for as namer_room
from assetstore.mounts.mount import Mount, MountTable
from assetstore.mounts.url_for import AssetUrls, MissingAssets
from assetstore.mounts.urls import MountUrl, hosts
from assetstore.names.base import Asset

CDN = "https://cdn.example.com/"


class Names:
    """A resolver over a table that a test changes."""

    def __init__(self, *assets: Asset) -> None:
        self.table = {asset.path: asset for asset in assets}

    def find(self, path: str) -> Asset | None:
        return self.table.get(path)

    def all(self) -> Iterator[Asset]:
        return iter(self.table.values())

    def paths(self) -> Iterator[str]:
        return iter(self.table)


@pytest.fixture
def names() -> Names:
    return Names(Asset("app.css", "f" * 64), Asset("a b.txt"), Asset("run.exe", "e" * 64))


def asset_urls(names: Names, url: str = "/assets/", *, strict: bool = False, **wired: Any) -> AssetUrls:
    mounts = MountTable()
    backend: Any = SimpleNamespace(label="memory://")
    resolver: Any = names
    mounts.add(Mount("assets", MountUrl.parse(url), backend, backend, None, resolver, **wired))
    return AssetUrls(mounts, MissingAssets(strict))


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        pytest.param("/assets/", {}, f"/assets/app-{'f' * 64}.css", id="by its path"),
        pytest.param(CDN, {}, f"{CDN}app-{'f' * 64}.css", id="at the CDN"),
        pytest.param("/assets/", {"root_path": "/shop"}, f"/shop/assets/app-{'f' * 64}.css", id="below a root path"),
        pytest.param(CDN, {"root_path": "/shop"}, f"{CDN}app-{'f' * 64}.css", id="a CDN has no root path"),
        pytest.param(CDN, {"same_origin": True}, f"/assets/app-{'f' * 64}.css", id="on this server"),
        pytest.param(
            CDN, {"same_origin": True, "root_path": "/s"}, f"/s/assets/app-{'f' * 64}.css", id="on this server, below"
        ),
    ],
)
def test_a_file_has_its_url_the_first_time_and_every_time(
    names: Names, url: str, given: dict[str, Any], expected: str
) -> None:
    made = asset_urls(names, url)
    assert [made.url_for("assets", "app.css", **given) for _ in range(3)] == [expected] * 3
    assert made.url_for("assets", "app.css") == MountUrl.parse(url).join(f"app-{'f' * 64}.css")


def test_a_new_fingerprint_is_in_the_very_next_url(names: Names) -> None:
    made = asset_urls(names)
    before = made.url_for("assets", "app.css")
    names.table["app.css"] = Asset("app.css", "0" * 64)
    assert made.url_for("assets", "app.css") == f"/assets/app-{'0' * 64}.css" != before


def test_a_file_that_is_gone_has_its_plain_url_from_then_on(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    made = asset_urls(names)
    made.url_for("assets", "app.css")
    del names.table["app.css"]
    assert [made.url_for("assets", "app.css") for _ in range(3)] == ["/assets/app.css"] * 3
    assert len(caplog.records) == 1


def test_a_missing_file_is_an_error_where_the_store_is_strict(names: Names) -> None:
    with pytest.raises(AssetNotFound, match=r"no asset 'ap\.css' in mount 'assets'.*did you mean 'app\.css'"):
        asset_urls(names, strict=True).url_for("assets", "ap.css")


def test_what_may_not_be_served_is_named_like_what_is_missing(names: Names) -> None:
    made = asset_urls(names, allowed_ext=frozenset({".css"}))
    assert made.url_for("assets", "run.exe") == "/assets/run.exe"
    assert made.find("assets", "run.exe") is None
    assert made.find("assets", "app.css") is names.table["app.css"]


def test_a_name_is_percent_encoded_whether_it_is_there_or_not(names: Names) -> None:
    made = asset_urls(names)
    assert made.url_for("assets", "a b.txt") == "/assets/a%20b.txt"
    assert made.url_for("assets", "no such.txt") == "/assets/no%20such.txt"


@pytest.mark.parametrize("file", ["/app.css", "../app.css", "a//b.css", ""])
def test_an_unsafe_path_is_an_error_however_often_it_is_asked_for(names: Names, file: str) -> None:
    made = asset_urls(names)
    for _ in range(2):
        with pytest.raises(UnsafePath):
            made.url_for("assets", file)
        with pytest.raises(UnsafePath):
            made.find("assets", file)


def test_a_mount_that_is_not_there_is_an_error(names: Names) -> None:
    with pytest.raises(MountNotFound, match="'assets'"):
        asset_urls(names).url_for("media", "app.css")


def test_a_host_that_a_request_decides_is_asked_each_time(names: Names) -> None:
    made = asset_urls(names, hosts=hosts(lambda request: f"https://{request}.example.com" if request else None))
    plain = f"/assets/app-{'f' * 64}.css"
    assert made.url_for("assets", "app.css", request="a") == f"https://a.example.com{plain}"
    assert made.url_for("assets", "app.css", request="b") == f"https://b.example.com{plain}"
    assert made.url_for("assets", "app.css") == plain


def test_what_is_remembered_is_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namer_room, "MAX_URLS", 10)
    made = asset_urls(names)
    for number in range(25):
        names.table[f"{number}.css"] = Asset(f"{number}.css", "0" * 64)
        assert made.url_for("assets", f"{number}.css") == f"/assets/{number}-{'0' * 64}.css"
        assert len(made._named) <= 10


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(None, "/inside", id="no request"),
        pytest.param(SimpleNamespace(scope={}), "/inside", id="an application at the root"),
        pytest.param(SimpleNamespace(scope={"root_path": "/shop"}), "/shop/inside", id="an application below a path"),
        pytest.param(
            SimpleNamespace(scope={"root_path": "/shop/admin", "app_root_path": "/shop"}),
            "/shop/inside",
            id="a page of an application inside of it",
        ),
        pytest.param(SimpleNamespace(), "/inside", id="a request of another kind"),
    ],
)
def test_the_root_path_is_the_outermost_application_s(names: Names, request_: object, expected: str) -> None:
    made = asset_urls(names)
    made.below = "/inside"
    assert made.root_path(request_) == expected
