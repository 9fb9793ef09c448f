"""Secrets and leftovers are no assets, unless they are named; what is excluded is neither served nor published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore.assets.paths import PathFilter
from assetstore.errors import SettingsError
from assetstore.publish import publish
from assetstore.publish.layout import open_target
from assetstore.store import AssetStore


@pytest.mark.parametrize(
    "path",
    ["id_rsa", "deep/id_rsa.pub", "a.pem", "x/terraform.tfstate", "dump.sql", "credentials.json", "__pycache__/a.pyc"]
    + ["x/__pycache__/y.txt", "app.css~", "notes.swp", "#draft#", "Thumbs.db", "prod.env"],
)
def test_secrets_and_leftovers_are_no_assets(path: str) -> None:
    assert not PathFilter().allows(path)
    assert PathFilter(include=[path.rpartition("/")[2]]).allows(path)


@pytest.mark.parametrize(
    "path", ["app.css", "solid_rsa.js", "sql.js", "env.js", "pem.html", "favicon.ico", "keys.json"]
)
def test_ordinary_names_are_assets(path: str) -> None:
    assert PathFilter().allows(path)


def test_patterns_are_those_of_the_other_settings() -> None:
    selection = PathFilter(include=["public.pem"], exclude=["*.map", "drafts/**", "docs/*.txt"])
    allowed = {path: selection.allows(path) for path in ("public.pem", "js/app.js.map", "drafts/x/y.css", "docs/a.txt")}
    assert allowed == {"public.pem": True, "js/app.js.map": False, "drafts/x/y.css": False, "docs/a.txt": False}
    assert selection.allows("docs/deep/a.txt")


@pytest.mark.parametrize("given", ["*.map", [""], ["/x"], [3], 7])
def test_what_are_no_patterns_is_refused_at_wiring(given: Any, tmp_path: Path) -> None:
    for setting in ("include", "exclude"):
        with pytest.raises(SettingsError, match=setting):
            AssetStore({}).static("/a/", root=tmp_path, **{setting: given})


@given(st.text(max_size=30))
def test_any_name_is_decided(path: str) -> None:
    assert PathFilter(exclude=["*.map"]).allows(path) in {True, False}


def test_what_is_excluded_is_neither_served_nor_published(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("app.js", "app.js.map", "server.pem", "public.pem"):
        (root / name).write_text("x")
    store = AssetStore({})
    mount = store.static("/a/", root=root, name="a", include=["public.pem"], exclude=["*.map"])
    client = TestClient(Starlette(routes=store.routes))
    statuses = {
        name: client.get(f"/a/{name}").status_code for name in ("app.js", "app.js.map", "server.pem", "public.pem")
    }
    assert statuses == {"app.js": 200, "app.js.map": 404, "server.pem": 404, "public.pem": 200}
    assert set(publish(mount, open_target(tmp_path / "out")).manifest.entries) == {"app.js", "public.pem"}
