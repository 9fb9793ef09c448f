"""Assetstore as it is measured: in front of an application, as its routes, and with nothing in its cache."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from assetstore import AssetStore
from benchmarks.apps import TREE, nothing

#: Settings come from the environment, so the same application is measured without its memory.
assets = AssetStore()
assets.static("/assets/", root=TREE, name="assets")

wrapped = assets.wrap(nothing)


async def uncached(scope: Scope, receive: Receive, send: Send) -> None:
    """The same, as if each URL were requested for the first time."""
    if scope["type"] == "http":
        assets.response_cache.drop(scope["path"])
    await wrapped(scope, receive, send)


routed = Starlette(routes=assets.routes)
