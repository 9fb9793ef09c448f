"""This module owns the ASGI application of one mount."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from assetstore import fingerprint as fingerprints
from assetstore import media_types, paths
from assetstore.errors import AssetNotFound
from assetstore.mounts import Mount


class AssetHandler:
    """Answers every request for one mount."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, _ = fingerprints.split(scope["path_params"]["file"])
        try:
            if not paths.is_clean(path):
                raise AssetNotFound(path)
            opened = await self._mount.reader.open(path)
        except AssetNotFound:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"cache-control", b"no-store")]})
            await send({"type": "http.response.body", "body": b"not found\n"})
            return
        headers = [(b"content-type", media_types.of(path).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in opened.chunks(0, opened.stat.size):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        await opened.aclose()
