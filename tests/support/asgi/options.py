"""An application for the tests of a mount's options: ``MOUNT_OPTIONS`` holds them as JSON."""

from __future__ import annotations

import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from assetstore import AssetStore

if os.environ.get("UNPRIVILEGED") and os.geteuid() == 0:  # root reads everything
    os.seteuid(65534)

assets = AssetStore({})
assets.static("/assets/", root=os.environ["SERVED_ROOT"], name="assets", **json.loads(os.environ["MOUNT_OPTIONS"]))


def url(request: Request) -> PlainTextResponse:
    return PlainTextResponse(assets.url_for("assets", file=request.query_params["file"]))


app = Starlette(routes=[*assets.routes, Route("/url", url)])
wrapped = assets.wrap(app)
