"""Starlette with its own Jinja2Templates and a strict policy. Run: uvicorn starlette_app:app"""

from __future__ import annotations

import secrets

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from store import HERE, assets

from assetstore.integrations import jinja

templates = Jinja2Templates(HERE / "templates")
jinja.install(templates, assets, nonce=lambda variables: variables.get("nonce"))


def home(request: Request) -> Response:
    nonce = secrets.token_urlsafe(16)
    response = templates.TemplateResponse(request, "home.html", {"nonce": nonce})
    response.headers["Content-Security-Policy"] = f"default-src 'self'; script-src 'nonce-{nonce}'"
    if link := assets.pages.link_header("css/app.css", request=request):
        response.headers["Link"] = link
    return response


def version(request: Request) -> Response:
    return PlainTextResponse(assets.version)


app = Starlette(
    routes=[Route("/", home, name="home"), Route("/assets-version", version), *assets.routes], lifespan=assets.lifespan
)
