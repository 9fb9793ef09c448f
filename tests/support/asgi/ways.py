"""Every way to put assets into an application, one application for each value of the Host header."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from assetstore import AssetStore

ROOT = os.environ["SERVED_ROOT"]


def store(url: str = "/assets/", **options: Any) -> AssetStore:
    made = AssetStore({})
    made.static(url, root=ROOT, name="assets", **options)
    return made


def name_of(request: Request) -> PlainTextResponse:
    """What ``request.url_for`` gives."""
    return PlainTextResponse(str(request.url_for("assets", file="css/app.css")))


def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>the application's own</title>")


NAME, CATCH_ALL = Route("/name", name_of), Route("/{path:path}", page)


def included(prefix: str = "") -> FastAPI:
    app = FastAPI()
    app.include_router(APIRouter(routes=store().routes), prefix=prefix)
    app.router.routes.append(NAME)
    return app


def mounted(app: Any) -> Any:
    app.mount("/static", store("/static/")["assets"])
    app.router.routes += [NAME, CATCH_ALL]
    return app


def extended() -> Starlette:
    app = Starlette(routes=[NAME])
    app.routes.extend(store().routes)
    app.routes.append(CATCH_ALL)
    return app


WAYS: dict[str, Any] = {
    "routes": Starlette(routes=[*store().routes, NAME, CATCH_ALL]),
    "fastapi": FastAPI(routes=[*store().routes, NAME, CATCH_ALL]),
    "included": included(),
    "included-below": included("/api"),
    "mounted": mounted(Starlette()),
    "mounted-in-fastapi": mounted(FastAPI()),
    "extended": extended(),
    "below": Starlette(routes=[Mount("/sub", routes=[*store().routes, NAME]), CATCH_ALL]),
    "below-at-root": Starlette(routes=[Mount("/sub", routes=[*store("/").routes, NAME]), CATCH_ALL]),
    "at-root": Starlette(routes=[*store("/").routes, NAME, CATCH_ALL]),
    "wrapped": store("/").wrap(Starlette(routes=[NAME, CATCH_ALL])),
    "alone": store("/")["assets"],
    "static.example.com": Starlette(routes=[*store(host="static.example.com").routes, CATCH_ALL]),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await Starlette()(scope, receive, send)
        return
    host = dict(scope["headers"])[b"host"].decode().partition(":")[0].removesuffix(".")
    await WAYS[host](scope, receive, send)
