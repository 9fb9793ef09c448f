"""The application that the soak is run against: one mount over ``SOAK_ROOT``, and its inside.

``/inside`` tells what only the process itself can: how many tasks and half-read bodies there are.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from assetstore import AssetStore
from assetstore.backends.remote import CacheSettings, RemoteLimits

MIB = 1024 * 1024

store = AssetStore()
mount = store.static(
    "/media/",
    root=os.environ["SOAK_ROOT"],
    name="media",
    storage_options=json.loads(os.environ["SOAK_OPTIONS"]),
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


async def inside(request: Any) -> JSONResponse:
    gc.collect()
    counts = mount.remote.counters.counts()
    return JSONResponse(
        {
            "tasks": len(asyncio.all_tasks()),
            "streams": len(mount.remote.reader._blocks.streams),
            "counts": {name: getattr(counts, name) for name in ("hits", "misses", "coalesced", "stale", "requests")},
            "errors": dict(counts.errors),
        }
    )


app = Starlette(routes=[*store.routes, Route("/inside", inside)], lifespan=store.lifespan)
