"""The application of the tests of sites: mounts over ``SITE_ROOT``, whose storage options are in ``SITE_STORAGE``."""

from __future__ import annotations

import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from assetstore import AssetStore

root = os.environ["SITE_ROOT"]
storage = json.loads(os.environ.get("SITE_STORAGE", "null"))

assets = AssetStore({})
assets.static("/site/", root=root, name="site", html=True, max_age=60, storage_options=storage)
assets.static("/spa/", root=root, name="spa", fallback="index.html", storage_options=storage)
assets.static("/both/", root=root, name="both", html=True, fallback="index.html", storage_options=storage)
assets.static("/", root=root, name="root", html=True, storage_options=storage)


async def api(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the application's own")


app = Starlette(routes=[*assets.routes, Route("/api/{path:path}", api)], lifespan=assets.lifespan)
