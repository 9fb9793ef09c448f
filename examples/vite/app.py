"""A page whose scripts Vite builds.

While you develop: ``npm install && npm run dev``, and beside it
``VITE_DEV_URL=http://localhost:5173/assets uvicorn examples.vite.app:app``. In production:
``npm run build``, and the same without ``VITE_DEV_URL``.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from assetstore import AssetStore
from assetstore.integrations.vite import Vite

HERE = Path(__file__).parent

assets = AssetStore()
assets.static("/assets/", root=HERE / "dist", name="assets", must_exist=False)
vite = Vite(assets)


async def home(request: Request) -> HTMLResponse:
    tags = vite.tags("src/main.js", request=request)
    return HTMLResponse(f"<!doctype html><title>Vite</title>{tags}<body>")


app = Starlette(routes=[*assets.routes, Route("/", home)], lifespan=assets.lifespan)
