"""Components with Jx, served by Starlette. Run: uvicorn jx_app:app"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from store import HERE, assets

from assetstore.integrations.jx import Catalog

catalog = Catalog(assets, HERE / "components")


def home(request: Request) -> Response:
    return HTMLResponse(catalog.render("home.jinja", globals={"request": request}))


app = Starlette(routes=[Route("/", home, name="home"), *assets.routes], lifespan=assets.lifespan)
