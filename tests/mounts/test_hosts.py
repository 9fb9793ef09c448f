"""Which host a URL names is the same on every machine, or the request's own choice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.mounts.urls import hosts


def url(asset_tree: Path, choice: object, *, file: str = "css/app.css", **given: object) -> str:
    assets = AssetStore()
    assets.static("/assets/", root=asset_tree, name="assets", fingerprint=False, asset_host=choice)  # type: ignore[arg-type]
    return assets.url_for("assets", file=file, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["https://cdn.example.com", "https://cdn.example.com/"])
def test_one_host_stands_before_the_path(asset_tree: Path, host: str) -> None:
    assert url(asset_tree, host) == "https://cdn.example.com/assets/css/app.css"


def test_a_host_without_scheme_has_the_pages(asset_tree: Path) -> None:
    assert url(asset_tree, "//cdn.example.com") == "//cdn.example.com/assets/css/app.css"


def test_the_root_path_stays_in_the_path(asset_tree: Path) -> None:
    request = SimpleNamespace(scope={"root_path": "/shop"})
    assert (
        url(asset_tree, "https://cdn.example.com", request=request) == "https://cdn.example.com/shop/assets/css/app.css"
    )


def test_a_worker_is_on_this_server_whatever_the_host(asset_tree: Path) -> None:
    assert url(asset_tree, "https://cdn.example.com", same_origin=True) == "/assets/css/app.css"
    assets = AssetStore()
    assets.static("https://cdn.example.com/", root=asset_tree, name="assets", fingerprint=False)
    assert assets.url_for("assets", file="js/app.min.js", same_origin=True) == "/assets/js/app.min.js"


def test_a_list_is_spread_by_name_and_the_same_everywhere() -> None:
    spread = hosts([f"https://cdn{number}.example.com" for number in range(4)])
    chosen = [spread.of(f"img/{number}.png", None) for number in range(400)]
    # CRC-32, unlike hash(), is the same in every process.
    assert [each[11] for each in chosen[:4]] == ["2", "2", "2", "2"]
    assert min(Counter(chosen).values()) > 60


def test_a_callable_gets_the_request(asset_tree: Path) -> None:
    def choose(request: object | None) -> str | None:
        return None if request is None else f"https://{request.scope['tenant']}.example.com/"  # type: ignore[attr-defined]

    request = SimpleNamespace(scope={"tenant": "acme"})
    assert url(asset_tree, choose, request=request) == "https://acme.example.com/assets/css/app.css"
    assert url(asset_tree, choose) == "/assets/css/app.css"


@pytest.mark.parametrize(
    "choice",
    [
        "",
        "cdn.example.com",
        "/cdn",
        "ftp://h",
        "https://",
        "https://h/path",
        "https://h?q",
        "https://u@h",
        "https://h x",
    ]
    + ["https://h:x", 'https://h"', [], [""], ["https://a", "b"], 7, True],
)
def test_a_malformed_host_is_found_at_wiring(choice: object) -> None:
    with pytest.raises(SettingsError, match=r"https://cdn\.example\.com"):
        hosts(choice)  # type: ignore[arg-type]


def test_two_hosts_in_one_mount_are_refused(asset_tree: Path) -> None:
    with pytest.raises(SettingsError, match="give url a path"):
        AssetStore().static("https://a.example.com/", root=asset_tree, asset_host="https://b.example.com")
