"""What ``--app`` finds, and what it says where it finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from assetstore import AssetStore
from assetstore.cli.options import load, mounts_in
from assetstore.errors import SettingsError


def test_an_attribute_is_found_however_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep_one.py").write_text("class a:\n    class b:\n        c = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load("deep_one:a.b.c") == 7


def test_a_store_is_found_in_an_application_and_in_what_that_mounts(asset_tree: Path) -> None:
    store = AssetStore({})
    store.static("/assets/", root=asset_tree, name="assets")
    inner = Starlette(routes=store.routes)
    for app in (store, inner, Starlette(routes=[Mount("/sub", app=inner)])):
        assert mounts_in(app) is store.mounts


@pytest.mark.parametrize("app", [Starlette(), 7, None])
def test_what_has_no_assets_is_an_error_that_says_what_it_is(app: object) -> None:
    with pytest.raises(SettingsError, match=f"names a {type(app).__name__} without assets"):
        mounts_in(app)
