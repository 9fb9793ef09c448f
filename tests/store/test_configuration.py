"""Configuration that does not differ by place: settings from anywhere, URLs below ASSETS_URL, roots of every form."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.config import Config, Environ
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.settings import Settings, SettingValues

CDN = "https://cdn.example.com/"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "app.css").write_text("a{}")
    os.utime(tmp_path / "app.css", (1_750_000_000.5, 1_750_000_000.5))
    return tmp_path


class AsClass:
    ASSETS_URL = CDN
    OTHER = 1


class AsInstance:
    def __init__(self) -> None:
        self.ASSETS_URL = CDN


def as_module() -> types.ModuleType:
    module = types.ModuleType("settings")
    module.ASSETS_URL = CDN  # type: ignore[attr-defined]
    return module


def as_pydantic() -> object:
    import pydantic

    class Site(pydantic.BaseModel):
        ASSETS_URL: str = CDN

    return Site()


def as_starlette() -> object:
    return Config(environ=Environ({"ASSETS_URL": CDN}))


@pytest.mark.parametrize(
    "source",
    [{"ASSETS_URL": CDN}, AsClass, AsInstance(), as_module(), as_pydantic(), as_starlette()],
    ids=["mapping", "class", "instance", "module", "pydantic", "Config"],
)
def test_settings_are_read_from_whatever_an_application_has(source: object) -> None:
    settings = AssetStore(source).settings
    assert settings.ASSETS_URL == CDN
    assert settings.ASSETS_STRICT is False


def test_a_misspelt_attribute_is_an_error() -> None:
    class Misspelt:
        ASSET_URL = CDN

    with pytest.raises(SettingsError, match="did you mean 'ASSETS_URL'"):
        AssetStore(Misspelt)


@pytest.mark.parametrize("nonsense", ["settings", 3, ["ASSETS_URL"]])
def test_what_holds_no_settings_is_an_error(nonsense: object) -> None:
    with pytest.raises(SettingsError, match="no mapping"):
        AssetStore(nonsense)


def test_the_keywords_are_the_settings() -> None:
    assert set(SettingValues.__annotations__) == set(Settings.__dataclass_fields__)


def test_a_host_without_a_scheme_is_an_error_that_shows_the_url() -> None:
    with pytest.raises(SettingsError, match=r"https://cdn\.example\.com/"):
        AssetStore(ASSETS_URL="cdn.example.com")


@pytest.mark.parametrize(
    ("assets_url", "own", "media"),
    [
        ("/assets/", "/assets/", "/assets/media/"),
        ("/", "/", "/media/"),
        (CDN, CDN, f"{CDN}media/"),
        (f"{CDN}static/", f"{CDN}static/", f"{CDN}static/media/"),
    ],
)
def test_a_relative_url_is_below_assets_url_on_origin_and_cdn_alike(
    tree: Path, assets_url: str, own: str, media: str
) -> None:
    assets = AssetStore(ASSETS_URL=assets_url)
    assets.static(root=tree, name="assets")
    assets.static("media/", root=tree, name="media")
    assert assets.url_for("assets", file="app.css").startswith(f"{own}app-")
    assert assets.url_for("media", file="app.css").startswith(f"{media}app-")
    client = TestClient(Starlette(routes=assets.routes))
    for name in ("assets", "media"):
        path = assets.url_for(name, file="app.css", same_origin=True)
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"]
    if "://" in assets_url:
        assert client.get("/assets/app.css").status_code == 200
        assert client.get("/assets/media/app.css").status_code == 200


def test_root_files_added_after_the_routes_were_read_are_answered(tree: Path) -> None:
    (tree / "favicon.ico").write_bytes(b"ico")
    assets = AssetStore()
    assets.static(root=tree, name="assets")
    app = Starlette(routes=assets.routes)
    assets.root_files("favicon.ico")
    client = TestClient(app, follow_redirects=False)
    assert client.get("/favicon.ico").status_code == 301
    assert client.get("/robots.txt").status_code == 404


def test_several_directories_are_one_root_and_the_first_wins(tmp_path: Path) -> None:
    for folder, files in {"site": ("app.css",), "theme": ("app.css", "theme.css")}.items():
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).write_text(folder)
    assets = AssetStore()
    assets.static(root=[tmp_path / "site", str(tmp_path / "theme")], name="assets")
    client = TestClient(Starlette(routes=assets.routes))
    assert client.get("/assets/app.css").text == "site"
    assert client.get("/assets/theme.css").text == "theme"
    assert client.get("/assets/missing.css").status_code == 404
    assert "theme-" in assets.url_for("assets", file="theme.css")
    assert sorted(stat.path for stat in assets.mounts.named("assets").backend.walk()) == ["app.css", "theme.css"]


def test_a_folder_of_an_installed_package_is_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shop_theme"
    (package / "static").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "static" / "app.css").write_text("a{}")
    monkeypatch.syspath_prepend(tmp_path)
    assets = AssetStore()
    assets.static(root="shop_theme:static", name="assets")
    assert TestClient(Starlette(routes=assets.routes)).get("/assets/app.css").text == "a{}"
    assert "shop_theme" not in sys.modules


class TestPublishedRoot:
    """A root that ``publish`` wrote is a release, without ``manifest=``."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "app.css").write_text("one")
        os.utime(tmp_path / "src" / "app.css", (1_750_000_000.5, 1_750_000_000.5))
        return tmp_path / "src"

    def publish(self, source: Path, target: Any) -> tuple[str, str]:
        with AssetStore() as dev:
            dev.static(root=source, name="assets")
            release = dev.publish(target)[0].manifest
        return release.release, release.entries["app.css"].fingerprinted_path

    def test_a_directory_names_and_serves_its_live_release(
        self, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, name = self.publish(source, tmp_path / "site")
        caplog.set_level("INFO", "assetstore")
        with AssetStore() as live:
            live.static(root=tmp_path / "site", name="assets")
            assert live.url_for("assets", file="app.css") == f"/assets/{name}"
            assert "was published to" in caplog.text
            answer = TestClient(Starlette(routes=live.routes)).get(f"/assets/{name}")
            assert (answer.text, "immutable" in answer.headers["cache-control"]) == ("one", True)
        with AssetStore() as other:
            other.static(root=tmp_path / "site", name="assets", manifest=False)
            assert other.mounts.named("assets").resolver.find(name) is not None

    def test_it_follows_a_publish_and_a_rollback(self, source: Path, s3_target: Callable[[], Any]) -> None:
        target, options = s3_target()
        first, name = self.publish_to(source, target, options)
        with AssetStore(ASSETS_STRICT=True) as live:
            live.static(root=target, name="assets", storage_options=options)
            assert live.url_for("assets", file="app.css") == f"/assets/{name}"
            (source / "app.css").write_text("two")
            _, second = self.publish_to(source, target, options)
            assert second != name
            live.refresh()
            assert live.url_for("assets", file="app.css") == f"/assets/{second}"
            client = TestClient(Starlette(routes=live.routes))
            assert client.get(f"/assets/{second}").text == "two"
            assert client.get(f"/assets/{name}").text == "one"
            from assetstore.backends import open_backend
            from assetstore.backends.base import WritableBackend
            from assetstore.publish.rollback import rollback

            bucket = open_backend(target, options)
            assert isinstance(bucket, WritableBackend)
            rollback(bucket, first)
            live.refresh()
            assert live.url_for("assets", file="app.css") == f"/assets/{name}"
            bucket.client.close()  # type: ignore[attr-defined]

    def publish_to(self, source: Path, target: str, options: dict[str, Any]) -> tuple[str, str]:
        with AssetStore() as dev:
            dev.static(root=source, name="assets")
            release = dev.publish(target, storage_options=options)[0].manifest
        return release.release, release.entries["app.css"].fingerprinted_path

    @pytest.fixture
    def s3_target(self, moto_bucket: Any) -> Callable[[], Any]:
        return lambda: (f"{moto_bucket.url}/shop", moto_bucket.server.options)
