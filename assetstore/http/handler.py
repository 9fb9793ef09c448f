"""The ASGI application of one mount: load, respond, send.

1. OPTIONS and unknown methods are answered from what was wired.
2. The path becomes a resource: a file with its representations, of which the request chooses one.
3. Request and representation become a response: a plain value.
4. The response is sent. A file that changed meanwhile is tried once more; failures become statuses.

What is in the cache is answered before (:mod:`assetstore.http.middleware`), by the same steps without the second.
"""

from __future__ import annotations

import time

from assetstore.errors import AssetNotFound, AssetStoreError, UnsafePath
from assetstore.http.cache import ResponseCache
from assetstore.http.error_log import ErrorLog
from assetstore.http.load import Loader
from assetstore.http.request import AssetRequest
from assetstore.http.response import (
    CHANGED_MEANWHILE,
    NOT_FOUND,
    ErrorStatus,
    Response,
    error_status,
    plain_response,
    respond,
)
from assetstore.http.response_headers import ALLOW, MountHeaders
from assetstore.http.send import PATHSEND, SENDFILE_BYTES, BrokenOff, Message, Receive, Send, send_response
from assetstore.http.sendfile import Sendfile
from assetstore.mounts.mount import Mount


class AssetHandler:
    """The ASGI application of one mount; the path comes as ``scope["path_params"]["file"]``.

    Args:
        offload: leaves local files to the proxy in front.
        cache: where resources are kept; ``None`` keeps nothing.
        namespace: what is put before the keys of the cache, where what is kept is not all that is sent.
    """

    def __init__(
        self,
        mount: Mount,
        offload: Sendfile | None = None,
        cache: ResponseCache | None = None,
        namespace: str = "",
    ) -> None:
        self._mount = mount
        self._offload = None if offload is None else offload.for_mount(mount)
        self._policy = policy = MountHeaders.of_mount(mount)
        self._cache = ResponseCache(0, plan_bytes=0) if cache is None else cache
        self._namespace = namespace
        missing = self._error_response(NOT_FOUND)
        self._loader = Loader(mount, policy, self._cache, missing, bodies=offload is None)
        self._log = ErrorLog(mount.backend.label)
        self._preflight = Response(204, policy.preflight())
        self._wrong_method = plain_response(405, policy.refusal({"allow": ALLOW}), "Method Not Allowed")

    def close(self) -> None:
        """End the thread that compares siblings; the next use starts another."""
        self._loader.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in {"GET", "HEAD"}:
            response = self._preflight if method == "OPTIONS" else self._wrong_method
            await send_response(response, None, receive, send)
            return
        file = scope["path_params"].get("file") or self._mount.defaults.get("file", "")
        request = AssetRequest.from_headers(method, scope["headers"])
        try:
            try:
                await self._serve(scope, file, request, receive, send)
            except CHANGED_MEANWHILE:
                await self._serve(scope, file, request, receive, send)
        except BrokenOff as error:
            self._log.broke_off(file, error)
            raise
        except AssetStoreError as error:
            failure = error_status(error)
            if not isinstance(error, (AssetNotFound, UnsafePath)):
                self._log.refused(file, failure.status, error)
            await send_response(self._error_response(failure, head=request.head), None, receive, send)

    async def _serve(self, scope: Message, file: str, request: AssetRequest, receive: Receive, send: Send) -> None:
        extensions = scope.get("extensions") or ()
        max_bytes = SENDFILE_BYTES if PATHSEND in extensions else None  # larger files are sent by the server itself
        key = self._namespace + self._cache.key_of(scope)
        representation, opened = await self._loader.load(key, file, request, max_bytes)
        try:
            response = respond(request, representation, time.time())
            if self._offload is not None:
                response = self._offload.respond(response, request, representation, opened)
            if not await send_response(response, opened, receive, send, extensions) and opened is not None:
                self._loader.let_go(opened)
        finally:
            if opened is not None:
                await opened.aclose()

    def _error_response(self, failure: ErrorStatus, *, head: bool = False) -> Response:
        return plain_response(failure.status, self._policy.refusal(failure.headers), failure.phrase, head=head)
