"""A path operation asks for its page's assets as it asks for anything else."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from assetstore import AssetStore
from assetstore.integrations.fastapi import page_of
from assetstore.templates.page import Page


def nonce_of(request: Request) -> str | None:
    return request.headers.get("x-nonce")


def test_the_dependency_knows_request_and_nonce(asset_tree: Path) -> None:
    assets = AssetStore()
    assets.static("/assets/", root=asset_tree, name="assets")
    app = FastAPI(lifespan=assets.lifespan)
    app.router.routes.extend(assets.routes)
    depends = Depends(page_of(assets, nonce=nonce_of))

    def home(page: Page = depends) -> HTMLResponse:
        return HTMLResponse(
            page.stylesheet_link("css/app.css") + page.render_importmap() + page.url_for("assets", file="LICENSE")
        )

    app.get("/")(home)
    with TestClient(app, root_path="/shop") as client:
        html = client.get("/shop/", headers={"x-nonce": "n-1"}).text
        assert re.findall('nonce="(.*?)"', html) == ["n-1", "n-1"]
        (css,) = re.findall('href="(/shop/assets/.*?)"', html)
        assert "/shop/assets/LICENSE-" in html
        assert client.get(css).text == "one from css/app.css\n"
