"""The shop, wherever its files are."""

from __future__ import annotations

import re
import time

import pytest
from fastapi.testclient import TestClient
from shop import create_app

from assetstore.errors import AssetNotFound
from assetstore.testing import assert_assets_exist

pytestmark = pytest.mark.usefixtures("nothing_outlives_it")


def urls_on(client: TestClient) -> list[str]:
    """The URLs of the page, once each has its fingerprint: those of a bucket have it when its names are read."""
    deadline = time.monotonic() + 10
    while True:
        found = re.findall(r'(?:href|src)="([^"]+)"', client.get("/").text)
        if all(re.search(r"-[0-9a-f]{64}\.", url) for url in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_the_page_names_files_that_answer_and_may_be_kept_for_a_year(place: str) -> None:
    with TestClient(create_app()) as client:
        urls = urls_on(client)
        base = "https://cdn.example.com/" if place == "CDN" else "/assets/"
        assert re.fullmatch(rf"{base}styles/app-[0-9a-f]{{64}}\.css", urls[0])
        assert re.fullmatch(rf"{base}media/cat-[0-9a-f]{{64}}\.svg", urls[1])
        for url in urls:
            time.sleep(0)
            answer = client.get(url.replace("https://cdn.example.com/", "/assets/"))  # what the CDN pulls
            assert answer.status_code == 200
        assert client.get("/assets/styles/missing.css").status_code == 404


def test_every_asset_that_templates_name_is_there(place: str) -> None:
    app = create_app()
    assert assert_assets_exist(app) == 2
    app.state.assets.close()


def test_a_missing_asset_is_an_error_where_tests_are_strict(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSETS_STRICT", "1")
    with create_app().state.assets as assets:
        assert "app-" in assets.url_for("assets", file="styles/app.css")
        with pytest.raises(AssetNotFound, match=r"did you mean 'cat\.svg'"):
            assets.url_for("media", file="cat.svgz")
