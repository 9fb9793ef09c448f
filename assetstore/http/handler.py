"""The ASGI application of one mount: look up, negotiate, respond, send.

1. OPTIONS and unknown methods are answered from what was wired.
2. The path becomes a file, opened, or only looked at while it may turn out that no byte is needed.
3. Its facts become representations, of which the request chooses one.
4. Request and representation become an answer: a plain value.
5. The answer is sent. A file that changed meanwhile is tried once more; failures become statuses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from assetstore.backends.base import WHOLE, Span
from assetstore.errors import AssetNotFound, AssetStoreError, UnsafePath, VersionChanged
from assetstore.http.cache import CacheWriter, ResponseCache
from assetstore.http.encodings import Encodings
from assetstore.http.error_log import ErrorLog
from assetstore.http.etags import EntityTags
from assetstore.http.lookup import Found, Lookup
from assetstore.http.negotiation import Negotiator, Selection
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
from assetstore.http.send import BrokenOff, Message, Receive, Send, is_for_server, send_response
from assetstore.http.sendfile import Sendfile
from assetstore.mounts.mount import Mount


class AssetHandler:
    """The ASGI application of one mount; the path comes as ``scope["path_params"]["file"]``."""

    def __init__(self, mount: Mount, offload: Sendfile | None = None, memory: ResponseCache | None = None) -> None:
        self._mount = mount
        self._offload = None if offload is None else offload.for_mount(mount)
        self._policy = MountHeaders.of_mount(mount)
        self._versions = versions = EntityTags(mount.backend, mount.fingerprinter, mount.resolver)
        self._variants = variants = Encodings(
            mount.backend, mount.reader, mount.resolver, mount.compress_bytes, versions.digests, mount.media_types
        )
        self._memory = ResponseCache(0, plan_bytes=0) if memory is None else memory
        self._recall = CacheWriter(self._memory, mount, bodies=offload is None)
        self._lookup = Lookup(mount, versions)
        self._selector = Negotiator(self._policy, versions, variants)
        self._complaints = ErrorLog(mount.backend.label)
        self._preflight = Response(204, self._policy.preflight())
        self._wrong_method = plain_response(405, self._policy.refusal({"allow": ALLOW}), "Method Not Allowed")

    def close(self) -> None:
        """End the thread that compares siblings; the next use starts another."""
        self._variants.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in {"GET", "HEAD"}:
            answer = self._preflight if method == "OPTIONS" else self._wrong_method
            await send_response(answer, None, receive, send)
            return
        file = scope["path_params"].get("file") or self._mount.defaults.get("file", "")
        request = AssetRequest.from_headers(method, scope["headers"])
        try:
            await self._answer(scope, file, request, receive, send)
        except BrokenOff as error:
            self._complaints.broke_off(file, error)
            raise
        except AssetStoreError as error:
            answer = self._failed(file, request, error)
            await send_response(answer, None, receive, send)

    async def _answer(self, scope: Message, file: str, request: AssetRequest, receive: Receive, send: Send) -> None:
        try:
            await self._try(scope, file, request, receive, send)
        except CHANGED_MEANWHILE:
            await self._try(scope, file, request, receive, send)

    async def _try(self, scope: Message, file: str, request: AssetRequest, receive: Receive, send: Send) -> None:
        key, look = self._memory.key_of(scope), self._recall.look(file)
        try:
            answer, selection = await self._plan(file, request)
        except AssetNotFound:
            self._recall.keep_missing(key, look, partial(self._refuse, NOT_FOUND))
            raise
        try:
            extensions = scope.get("extensions") or ()
            with_bytes = not is_for_server(answer, selection.chosen.size, extensions)
            if not selection.provisional:
                answer = await self._recall.keep(key, look, answer, selection, with_bytes=with_bytes)
            if self._offload is not None:
                answer = self._offload.answer(answer, request, selection.chosen, selection.opened)
            await send_response(answer, selection.opened, receive, send, extensions)
        finally:
            await selection.aclose()

    async def _plan(self, file: str, request: AssetRequest) -> tuple[Response, Selection]:
        now = time.time()
        for span in _looks(request):
            found = await self._lookup.find(file, span)
            selection = await self._select(found, request, now)
            answer = respond(request, selection.chosen, now)
            if selection.opened is not None or not answer.needs_file:
                return answer, selection
        raise VersionChanged(f"{file!r} would not be opened as it was looked up", path=file)

    async def _select(self, found: Found, request: AssetRequest, now: float) -> Selection:
        try:
            selection = await self._selector.select(found, request, now)
            if found.provisional or self._versions.is_provisional(found.stat):
                return replace(selection, provisional=True)
            return selection
        except BaseException:
            await found.aclose()
            raise

    def _failed(self, file: str, request: AssetRequest, error: AssetStoreError) -> Response:
        failure = error_status(error)
        if not isinstance(error, (AssetNotFound, UnsafePath)):
            self._complaints.refused(file, failure.status, error)
        return self._refuse(failure, request)

    def _refuse(self, failure: ErrorStatus, request: AssetRequest) -> Response:
        return plain_response(failure.status, self._policy.refusal(failure.headers), failure.phrase, head=request.head)


def _looks(request: AssetRequest) -> Iterator[Span | None]:
    """How to look at the file, until the answer has what it needs; ``None`` is not to open it."""
    if request.head or request.conditional:
        yield None
    if not request.head:
        if request.ranges is not None:
            yield request.ranges.hint
        yield WHOLE
