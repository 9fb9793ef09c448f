"""One mount, and the longest stall of the event loop: assetstore, and Starlette's ``StaticFiles`` over the same files."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
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
from assetstore.backends.remote import CacheSettings
from assetstore.testing import LoopWatch

OPTIONS: dict[str, Any] = json.loads(os.environ["STALLS_OPTIONS"])
#: Names that ``/page`` writes.
NAMES: list[str] = json.loads(os.environ.get("STALLS_NAMES", "[]"))
IMPORT_MAP: dict[str, Any] = json.loads(os.environ.get("STALLS_IMPORT_MAP", "{}"))
#: Every open, rename, removal and stat below this folder takes :data:`SLOW_SECONDS`.
SLOW_DISK = os.environ.get("STALLS_SLOW_DISK")
SLOW_SECONDS = 0.05

_watch = LoopWatch()


def make_slow(folder: str) -> None:
    """Let the disk below *folder* answer as one that is overloaded does."""
    stat = os.stat

    def wait(path: object) -> None:
        if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder):
            time.sleep(SLOW_SECONDS)

    def slow_stat(path: Any, *args: Any, **options: Any) -> os.stat_result:
        wait(path)
        return stat(path, *args, **options)

    def on_event(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"open", "os.rename", "os.remove", "os.utime", "os.mkdir", "os.listdir", "os.scandir"}:
            wait(arguments[0])

    os.stat = slow_stat
    sys.addaudithook(on_event)


async def _stalls(request: Request) -> Response:
    longest, busy = _watch.reset()
    return JSONResponse({"longest": longest, "busy": busy})


async def _collect(request: Request) -> Response:
    gc.collect()
    return PlainTextResponse("collected")


def _assetstore() -> Any:
    options = dict(OPTIONS)
    if SLOW_DISK is not None:
        options["cache"] = CacheSettings(disk_path=SLOW_DISK)
    store = AssetStore(IMPORT_MAP=IMPORT_MAP)
    store.static("/assets/", name="assets", **options)
    if SLOW_DISK is not None:
        make_slow(SLOW_DISK)

    async def page(request: Request) -> Response:
        urls = [store.url_for("assets", file=name, request=request) for name in NAMES]
        return PlainTextResponse("\n".join([store.version, str(store.render_importmap()), *urls]))

    async def refresh(request: Request) -> Response:
        if "manifest" in OPTIONS:
            os.utime(OPTIONS["manifest"])
        await to_thread.run_sync(store.refresh)
        return PlainTextResponse("refreshed")

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        with _watch:
            async with store.lifespan(app):
                yield

    routes = [Route("/page", page), Route("/refresh", refresh), Route("/stalls", _stalls), Route("/collect", _collect)]
    return store.wrap(Starlette(routes=routes, lifespan=lifespan))


def _starlette() -> Any:
    async def page(request: Request) -> Response:
        return PlainTextResponse("\n".join(str(request.url_for("assets", path=name)) for name in NAMES))

    async def nothing(request: Request) -> Response:
        return PlainTextResponse("")

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        with _watch:
            yield

    files = StaticFiles(directory=os.environ["STALLS_FOLDER"], check_dir=False)
    routes = [Route("/page", page), Route("/refresh", nothing), Route("/stalls", _stalls), Route("/collect", _collect)]
    return Starlette(routes=[*routes, Mount("/assets", files, name="assets")], lifespan=lifespan)


app = _starlette() if os.environ["STALLS_SUBJECT"] == "starlette" else _assetstore()
