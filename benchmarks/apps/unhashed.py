"""Assetstore over large files that nobody has hashed yet, with a clock on its event loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from assetstore import AssetStore
from benchmarks.apps import TREE

#: How often the clock looks, in seconds.
TICK_SECONDS = 0.001

assets = AssetStore()
assets.static("/assets/", root=TREE, name="assets", fingerprint="content" if os.environ.get("HASHED") else False)
#: The longest time between two looks of the clock, and the longest time that the loop worked between two of them.
longest, busiest = 0.0, 0.0


async def _watch() -> None:
    global longest, busiest
    while True:
        began, worked = time.monotonic(), time.thread_time()
        await asyncio.sleep(TICK_SECONDS)
        longest = max(longest, time.monotonic() - began - TICK_SECONDS)
        busiest = max(busiest, time.thread_time() - worked)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    watch = asyncio.create_task(_watch())
    async with assets.lifespan(app):
        yield
    watch.cancel()


async def stall(request: Request) -> JSONResponse:
    """The longest stall of the event loop since the last request for it, in seconds; and the names of the files."""
    global longest, busiest
    stalls, longest, busiest = {"passed": longest, "worked": busiest}, 0.0, 0.0
    urls = [assets.url_for("assets", file=file) for file in sorted(os.listdir(TREE))]
    return JSONResponse({**stalls, "urls": urls})


app = Starlette(routes=[*assets.routes, Route("/stall", stall)], lifespan=_lifespan)
