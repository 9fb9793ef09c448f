"""Files of a bucket that the object storage itself sends: by a redirect, or through the proxy in front.

The application verifies the request; a presigned URL then gives access to the one object for a while.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from anyio import to_thread

from assetstore.backends.base import PresignedUrl, Presigns
from assetstore.errors import AssetNotFound, AssetStoreError
from assetstore.http.response_headers import Headers
from assetstore.http.send import Application, Message, Receive, Send
from assetstore.mounts.mount import Mount
from assetstore.util.lru import LRU

#: How long a presigned URL is good for.
LIFE_SECONDS = 3600
#: How long a redirect to one may be cached at most, and how long before its end a URL is no longer given out.
REDIRECT_SECONDS, MARGIN_SECONDS = 300, 600
#: Presigned URLs kept for one mount, about 1 KB each.
MAX_URLS = 10_000

#: What the redirect and the response through a proxy do not say: it is about a body of the application's own.
_OF_THE_BODY = frozenset({b"content-length", b"accept-ranges", b"cache-status", b"age"})
#: What a redirect repeats of the file's response, beside its own headers.
_OF_REDIRECTS = frozenset(
    {b"access-control-allow-origin", b"access-control-expose-headers", b"cross-origin-resource-policy",
     b"timing-allow-origin", b"x-content-type-options", b"vary"}
)  # fmt: skip
#: With these, the bytes that are sent depend on the application's validators, so it sends them itself.
_STREAMED = frozenset({b"if-range"})


class Delivery:
    """The ASGI application of a mount with ``delivery="redirect"`` or ``"proxy"``.

    What goes this way: each file of a private mount, and in a public one verified files of some size. The
    rest, and everything that needs no bytes (304, 404, HEAD), *handler* answers.

    Args:
        mount: the mount.
        storage: where its files are.
        handler: answers for one file, ``scope["path_params"]["file"]``.
    """

    def __init__(self, mount: Mount, storage: Presigns, handler: Application) -> None:
        self._mount = mount
        self._storage = storage
        self._handler = handler
        self._urls: LRU[tuple[str, str, str, str | None], PresignedUrl] = LRU(MAX_URLS)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and not any(name in _STREAMED for name, _ in scope["headers"]):
            headers = await self._verified(scope)
            if headers is not None:
                try:
                    response = await self._elsewhere(scope["path_params"]["file"], headers)
                except AssetStoreError:  # streaming reports it, or finds another way
                    response = None
                if response is not None:
                    await send({"type": "http.response.start", "status": response[0], "headers": [*response[1]]})
                    await send({"type": "http.response.body", "body": b""})
                    return
        await self._handler(scope, receive, send)

    async def _verified(self, scope: Message) -> Headers | None:
        """The headers of the file's 200 without a content coding, if it goes another way than through the application."""
        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        started: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)

        await self._handler({**scope, "method": "HEAD", "headers": plain}, receive, keep)
        if not started or started[0]["status"] != 200:
            return None
        headers: Headers = tuple(started[0]["headers"])
        found = dict(headers)
        verified = b"immutable" in found.get(b"cache-control", b"")
        large = int(found.get(b"content-length", b"0")) >= self._mount.delivery_bytes
        return headers if not self._mount.public or (verified and large) else None

    async def _elsewhere(self, file: str, headers: Headers) -> tuple[int, Headers] | None:
        found = dict(headers)
        content_type = found.get(b"content-type", b"application/octet-stream").decode("latin-1")
        path, validator = await self._stored(file)
        # A redirect leads to what is stored when it is followed: only a fingerprinted name is never written twice.
        kept = path == file and self._mount.split(file)[1] is not None
        audience = "public" if self._mount.public else "private"
        policy = found[b"cache-control"].decode("latin-1") if kept else f"max-age=0, {audience}, must-revalidate"
        redirects = self._mount.delivery == "redirect"
        signed = await self._url(path, content_type, policy, None if redirects else validator)
        if redirects:
            seconds = int(min(REDIRECT_SECONDS, signed.until - time.time() - 60))
            if seconds <= 0:
                return None
            return 307, (
                *(pair for pair in headers if pair[0] in _OF_REDIRECTS),
                (b"location", signed.url.encode("ascii")),
                (b"cache-control", f"max-age={seconds}, {audience}".encode()),
                (b"content-length", b"0"),
            )
        parts = urlsplit(signed.url)
        renamed = ((b"x-offload-cache-control" if name == b"cache-control" else name, value) for name, value in headers)
        return 200, (
            *(pair for pair in renamed if pair[0] not in _OF_THE_BODY),
            (b"content-length", b"0"),
            (b"x-accel-redirect", b"/_bucket/"),
            (b"x-offload-scheme", parts.scheme.encode()),
            (b"x-offload-host", parts.netloc.encode()),
            (b"x-offload-uri", parts.path.encode()),
            (b"x-offload-query", parts.query.encode()),
            *(((b"x-offload-if-match", signed.if_match.encode("latin-1")),) if signed.if_match else ()),
        )

    async def _stored(self, file: str) -> tuple[str, str | None]:
        """Under which name the storage has the file that the URL of *file* means, and its validator there."""
        for path in dict.fromkeys([file, self._mount.split(file)[0]]):
            try:
                return path, (await self._mount.reader.stat(path)).validator
            except AssetNotFound:
                continue
        raise AssetNotFound(file, self._mount.backend.label)

    async def _url(self, path: str, content_type: str, cache_control: str, validator: str | None) -> PresignedUrl:
        key = path, content_type, cache_control, validator
        known = self._urls.get(key)
        if known is not None and known.until - time.time() > MARGIN_SECONDS:
            return known
        made = await to_thread.run_sync(
            lambda: self._storage.presigned_url(
                path,
                content_type=content_type,
                cache_control=cache_control,
                seconds=LIFE_SECONDS,
                validator=validator,
            )
        )
        self._urls.put(key, made)
        return made
