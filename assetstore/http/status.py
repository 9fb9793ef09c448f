"""This module owns the routes for a load balancer and for Prometheus.

They tell states and numbers, and no address: whoever may ask learns nothing of the storage.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from assetstore import metrics
from assetstore.backends.cached.counters import Contact
from assetstore.errors import AssetStoreError, BackendTimeout
from assetstore.health import Health, last_contact
from assetstore.mounts import Mount

#: A storage that spoke so recently is not asked again, and how long it has to answer.
RECENT_SECONDS, PATIENCE_SECONDS = 5.0, 1.0
#: A file that nobody has; that it is missing is answer enough.
PROBE = "assetstore-probe"

_NO_STORE = {"cache-control": "no-store"}


def status_routes(mounts: Iterable[Mount], health: str, metrics: str) -> list[BaseRoute]:
    """Routes at those two paths; an empty path is none."""
    status = _Status(mounts)
    answers = {health: status.health, metrics: status.metrics}
    return [Route(path, answer, include_in_schema=False) for path, answer in answers.items() if path]


class _Status:
    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._mounts = mounts

    async def health(self, request: Request) -> Response:
        """The state of each mount. Storage that was not heard of lately is asked first.

        Without that a server which is sent no requests, since its storage failed once, would never
        learn that the storage is back; nor that a storage hangs which nobody else asks for anything.
        """
        await asyncio.gather(*map(_probe, self._mounts))
        found = await to_thread.run_sync(Health.of, self._mounts)
        states = {mount.name: mount.state.value for mount in found.mounts}
        return JSONResponse({"ready": found.ready, "mounts": states}, 200 if found.ready else 503, _NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """The counters as text."""
        text = metrics.text(await to_thread.run_sync(Health.of, self._mounts))
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE, **_NO_STORE})


async def _probe(mount: Mount) -> None:
    contact = last_contact(mount)
    recent = contact is not None and contact.fault is None and time.monotonic() - contact.at < RECENT_SECONDS
    if mount.remote is None or recent:
        return
    try:
        with suppress(AssetStoreError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await mount.remote.direct.stat(PROBE)
    except TimeoutError:
        if last_contact(mount) is contact:  # nobody else has heard of it meanwhile
            silence = BackendTimeout(f"{mount.backend.label} said nothing for {PATIENCE_SECONDS:g} s", path=PROBE)
            mount.remote.counters.contact = Contact(time.monotonic(), silence)
