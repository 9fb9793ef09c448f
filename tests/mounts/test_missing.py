"""A missing asset is said once, with the mount, the place that was searched, and the nearest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore import AssetStore
from assetstore.errors import AssetNotFound
from assetstore.mounts.mount import Mount
from assetstore.mounts.url_for import MAX_WARNINGS, MissingAssets, nearest


@pytest.fixture
def mount(asset_tree: Path) -> Mount:
    return AssetStore().static("/assets/", root=asset_tree, name="assets")


@pytest.mark.parametrize(
    ("path", "first"),
    [
        pytest.param("css/ap.css", "css/app.css", id="a letter is missing"),
        pytest.param("app.css", "css/app.css", id="the folder is missing"),
        pytest.param("js/util.js", "js/lib/util.js", id="the file is in another folder"),
    ],
)
def test_the_nearest_name_comes_first(mount: Mount, path: str, first: str) -> None:
    assert nearest(mount, path)[0] == first


def test_the_message_names_the_mount_and_the_place(mount: Mount, asset_tree: Path) -> None:
    with pytest.raises(AssetNotFound, match=rf"no asset 'x\.css' in mount 'assets' \(.*{asset_tree.name}"):
        MissingAssets(strict=True).report(mount, "x.css")


def test_what_was_said_is_bounded(mount: Mount, caplog: pytest.LogCaptureFixture) -> None:
    missing = MissingAssets(strict=False)
    for number in range(MAX_WARNINGS + 50):
        missing.report(mount, f"{number}.css")
    assert len(caplog.records) == MAX_WARNINGS
