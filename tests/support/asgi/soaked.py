"""The application that the soak is run against: one mount over ``SOAK_ROOT``, and what only the process can tell.

With ``SOAK_SUBJECT=starlette`` it is Starlette's ``StaticFiles`` over the same folder, for comparison.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from assetstore import AssetStore
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.http.rsgi import RSGIApplication
from assetstore.names.listing import Index
from assetstore.testing import LoopWatch

MIB = 1024 * 1024

store = AssetStore(ASSETS_MEMORY_BYTES=8 * MIB)
mount = store.static(
    "/media/",
    root=os.environ["SOAK_ROOT"],
    name="media",
    storage_options=json.loads(os.environ.get("SOAK_OPTIONS", "null")),
    index=Index(refresh_seconds=0.5),
    cache=CacheSettings(
        memory_bytes=2 * MIB,
        window_bytes=MIB,
        ttl_seconds=0.3,
        miss_seconds=0.3,
        stale_wait_seconds=0.2,
        max_paths=20,
        disk_path=os.environ.get("SOAK_DISK"),
        disk_bytes=8 * MIB,
    ),
    limits=RemoteLimits(
        connect_seconds=0.3,
        read_seconds=0.3,
        total_seconds=1.0,
        breaker_seconds=0.1,
        breaker_max_seconds=0.5,
        wait_seconds=0.5,
        max_streams=4,
        idle_seconds=0.3,
    ),
)
_watch = LoopWatch()


async def inside(request: Request) -> JSONResponse:
    """What the process holds, and the longest stall of its loop since the last time."""
    longest, busy = _watch.reset()
    gc.collect()
    held = {"tasks": len(asyncio.all_tasks()), "streams": 0, "longest": longest, "busy": busy}
    if mount.remote is not None:
        counts = mount.remote.counters.counts()
        held["streams"] = len(mount.remote.reader._blocks.streams)
        held["counts"] = {name: getattr(counts, name) for name in ("hits", "misses", "coalesced", "stale", "requests")}
        held["errors"] = dict(counts.errors)
    _watch.reset()
    return JSONResponse(held)


async def url(request: Request) -> Response:
    """The URL of a file, as a page writes it."""
    return PlainTextResponse(store.url_for("media", file=request.query_params["file"]))


async def refresh(request: Request) -> Response:
    """Read the names anew."""
    try:
        await to_thread.run_sync(store.refresh)
    except Exception as error:
        return PlainTextResponse(type(error).__name__)
    return PlainTextResponse("refreshed")


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    with _watch:
        async with store.lifespan(app):
            yield


_routes = [Route("/inside", inside), Route("/url", url), Route("/refresh", refresh), *store.status_routes()]
if os.environ.get("SOAK_SUBJECT") == "starlette":
    _files = StaticFiles(directory=os.environ["SOAK_ROOT"], follow_symlink=False)
    app: Any = Starlette(routes=[*_routes, Mount("/media", _files)], lifespan=lifespan)
else:
    _behind = Starlette(routes=[*_routes, *store.routes], lifespan=lifespan)
    app = store.wrap(_behind)
    rsgi = RSGIApplication(app, store.response_cache, lifespan(_behind))
