"""Where each mount goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore.backends import open_backend
from assetstore.errors import MountNotFound, SettingsError
from assetstore.publish.layout import destinations, open_target
from assetstore.publish.releases import CURRENT
from assetstore.store import AssetStore


@pytest.fixture
def store(asset_tree: Path) -> AssetStore:
    assets = AssetStore({})
    assets.static("/assets/", root=asset_tree, name="assets")
    assets.static("/media/", root=asset_tree, name="media")
    assets.static("/bare/", root=asset_tree)
    return assets


def test_one_mount_goes_to_the_target_itself(store: AssetStore, tmp_path: Path) -> None:
    [(mount, target)] = destinations(store.mounts, ["media"], tmp_path / "out")
    assert (mount.name, target.label) == ("media", str(tmp_path / "out"))


def test_several_mounts_go_where_the_placeholder_says(store: AssetStore, tmp_path: Path) -> None:
    found = destinations(store.mounts, ["assets", "media"], f"{tmp_path}/{{mount}}/x")
    assert [target.label for _, target in found] == [f"{tmp_path}/assets/x", f"{tmp_path}/media/x"]


def test_a_backend_is_taken_as_it_is(store: AssetStore, tmp_path: Path) -> None:
    backend = open_backend(tmp_path)
    [(_, target)] = destinations(store.mounts, ["assets"], backend)
    assert target is backend


def test_what_has_no_one_place_is_refused(store: AssetStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="would share one target"):
        destinations(store.mounts, [], tmp_path)
    with pytest.raises(SettingsError, match="has no name to stand for"):
        destinations(store.mounts, [], f"{tmp_path}/{{mount}}")
    with pytest.raises(MountNotFound):
        destinations(store.mounts, ["nothing"], tmp_path)
    with pytest.raises(SettingsError, match="there is no mount to publish"):
        destinations(AssetStore({}).mounts, [], tmp_path)


def test_what_can_only_be_read_is_refused(asset_tree: Path) -> None:
    class ReadOnly:
        label = "zip://assets.zip"
        remote = False

        def stat(self, path: str) -> Any: ...
        def open(self, path: str, span: Any = None, *, validator: Any = None) -> Any: ...
        def walk(self) -> Any: ...

    with pytest.raises(SettingsError, match="zip://assets.zip can only be read"):
        open_target(ReadOnly())


def test_a_store_publishes_its_mounts(store: AssetStore, tmp_path: Path) -> None:
    done = store.publish(f"{tmp_path}/out/{{mount}}", mounts=["assets", "media"], siblings=("gzip",))
    assert [each.released for each in done] == [True, True]
    assert (tmp_path / "out/media" / CURRENT).exists()
