"""The applications that are measured, each over the tree that ``BENCHMARK_TREE`` names."""

from __future__ import annotations

import os

from starlette.types import Receive, Scope, Send

#: The directory of assets; every application answers for it at ``/assets/``.
TREE = os.environ.get("BENCHMARK_TREE", "")


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that has no answers, and nothing to do at start-up."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
