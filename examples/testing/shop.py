"""A FastAPI application with templates. Where its files are is configuration: SHOP_ASSETS, SHOP_MEDIA and ASSETS_URL."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from assetstore import AssetStore
from assetstore.integrations.jinja import install

HERE = Path(__file__).parent


def create_app() -> FastAPI:
    assets = AssetStore()
    assets.static(root=os.environ.get("SHOP_ASSETS", HERE / "assets"), name="assets")
    assets.static("media/", root=os.environ.get("SHOP_MEDIA", HERE / "media"), name="media")

    templates = Jinja2Templates(HERE / "templates")
    install(templates, assets)

    app = FastAPI(lifespan=assets.lifespan)
    app.router.routes.extend(assets.routes)
    app.state.assets = assets

    @app.get("/", response_class=HTMLResponse)
    def home(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(request, "home.html")

    return app
