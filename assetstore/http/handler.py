"""The ASGI application of one mount (load, respond, send), what wraps it (cached responses, CORS), and its error log.

1. OPTIONS and unknown methods are answered from what was wired.
2. The path becomes a resource: a file with its representations, of which the request chooses one.
3. Request and representation become a response: a plain value.
4. The response is sent. A file that changed meanwhile is tried once more; failures become statuses.

What is in the cache is answered before (:func:`with_response_cache`), by the same steps without the second.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from assetstore.errors import AssetNotFound, AssetStoreError, UnsafePath
from assetstore.http.cache import ResponseCache
from assetstore.http.load import Loader
from assetstore.http.request import READ, AssetRequest
from assetstore.http.response import (
    CHANGED_MEANWHILE,
    NOT_FOUND,
    ErrorStatus,
    Response,
    error_status,
    plain_response,
    respond,
)
from assetstore.http.response_headers import ALLOW, MountHeaders, with_vary
from assetstore.http.send import (
    PATHSEND,
    SENDFILE_BYTES,
    Application,
    BrokenOff,
    Message,
    Receive,
    Send,
    send_cached,
    send_response,
)
from assetstore.http.sendfile import Sendfile
from assetstore.mounts.mount import Mount
from assetstore.util.lru import LRU

_log = logging.getLogger("assetstore")

#: The least time between two lines of one kind.
PAUSE_SECONDS = 10.0
#: A kind that did not occur for this long is logged with its traceback again.
NEWS_SECONDS = 600.0
#: How many kinds are kept; there are about as many as errors have classes.
KINDS = 64


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


@dataclass(slots=True)
class _Kind:
    """One way to fail: when it last happened, when it was last logged, and how often it was left out since."""

    happened_at: float = -math.inf
    logged_at: float = -math.inf
    left_out: int = 0


class ErrorLog:
    """The log of the failed requests of one mount, whose storage is called *label*.

    *clock* gives monotonic seconds.
    """

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._kinds: LRU[type[Exception], _Kind] = LRU(KINDS)
        self._lock = threading.Lock()

    def refused(self, file: str, status: int, error: AssetStoreError) -> None:
        """A request for *file* got *status* because of *error*."""
        if (line := self._next_line(type(error))) is not None:
            new, more = line
            _log.error(
                "%d for %r: %s failed: %s%s", status, file, self._label, error, more, exc_info=error if new else None
            )

    def broke_off(self, file: str, error: Exception) -> None:
        """The body of *file* ended before its time; the server logs the traceback, as *error* reaches it."""
        if (line := self._next_line(type(error))) is not None:
            _log.error("%r from %s broke off: %s%s", file, self._label, error, line[1])

    def _next_line(self, kind: type[Exception]) -> tuple[bool, str] | None:
        """Whether this *kind* is new, and the end of its line; ``None`` where it is only counted."""
        with self._lock:
            now = self._clock()
            known = self._kinds.put(kind, self._kinds.get(kind) or _Kind())
            new = now - known.happened_at >= NEWS_SECONDS
            known.happened_at = now
            if not new and now - known.logged_at < PAUSE_SECONDS:
                known.left_out += 1
                return None
            more = f" (and {known.left_out} more like it, left out)" if known.left_out else ""
            known.logged_at, known.left_out = now, 0
            return new, more


def with_response_cache(cache: ResponseCache, app: Application, namespace: str = "") -> Application:
    """*app*, which is only called for what *cache* cannot answer.

    This is one function, since a response from the cache takes less than a microsecond here, and each call on the
    way would be a tenth of that.

    Args:
        namespace: as of :class:`assetstore.http.handler.AssetHandler`.
    """

    async def respond(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers: tuple[tuple[bytes, bytes], ...] = ()
        for name, value in scope["headers"]:
            if name in READ:
                headers += ((name, value),)
        key = cache.key_of(scope) if cache.by_host or scope.get("root_path") else scope["path"]
        response = cache.respond(namespace + key, (scope["method"], headers))
        if response is None:
            await app(scope, receive, send)
            return
        body = response.body
        if response.file is None and len(body) < 2:
            await send({"type": "http.response.start", "status": response.status, "headers": [*response.headers]})
            await send({"type": "http.response.body", "body": body[0] if body else b""})
        elif not await send_cached(response, receive, send, scope.get("extensions") or ()):
            cache.drop(namespace + key)
            await app(scope, receive, send)

    return respond


class AllowedOrigins:
    """*application*, a mount that allows no origin by itself, with ``Access-Control-Allow-Origin`` for those of a list.

    Every response has ``Vary: Origin``, also to a request without one, since a cache may give it to another origin.
    """

    def __init__(self, application: Application, origins: frozenset[str]) -> None:
        self._application = application
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
        allowed = [(b"access-control-allow-origin", origin)] if origin in self._origins else []

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*with_vary(message["headers"], b"Origin"), *allowed]}
            await send(message)

        await self._application(scope, receive, send_with_origin)
