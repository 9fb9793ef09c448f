"""RSGI, granian's own interface, for ``assetstore serve``.

Responses that the cache has in one piece are given to the server without an ASGI message on the way. Everything
else goes to the ASGI application, whose messages are translated one by one; large files, and parts of them, are
left to the server (RSGI specification 1.5, ``response_file`` and ``response_file_range``).

Each call of granian's objects crosses from Python into Rust, and holds the interpreter lock; so there are few.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from assetstore.http.cache import RequestKey, ResponseCache
from assetstore.http.request import READ
from assetstore.http.response_headers import Headers
from assetstore.http.send import PATHSEND, RANGESEND, Application, Message

_EXTENSIONS: dict[str, dict[str, object]] = {PATHSEND: {}, RANGESEND: {}}
_READ = {name.decode(): name for name in READ}
#: A request without any of these is for the cache, whatever else it bears; one to upgrade may be none of HTTP.
_TELLING = frozenset([*_READ, "upgrade"])
_has_none_of = _TELLING.isdisjoint

_Pairs = list[tuple[str, str]]


class RSGIApplication:
    """*application* for a server that speaks RSGI.

    Args:
        application: answers what the cache does not know.
        cache: of the store that *application* serves.
        lifespan: entered before the first request, left after the last.
    """

    def __init__(
        self, application: Application, cache: ResponseCache, lifespan: AbstractAsyncContextManager[None] | None = None
    ) -> None:
        self._application = application
        self._cache = cache
        self._lifespan = lifespan

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aenter__())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aexit__(None, None, None))

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        headers = scope.headers
        names = headers.keys()
        if _has_none_of(names):
            pairs: tuple[tuple[str, str], ...] = ()
        elif scope.proto != "http":
            protocol.close(None)
            return
        else:
            pairs = tuple([(name, value) for name in _TELLING.intersection(names) for value in headers.get_all(name)])
        cache = self._cache
        key = cache.key_of(_asgi(scope, headers.items())) if cache.by_host else scope.path
        response = cache.respond(key, _request_key(scope.method, pairs))
        if response is not None and response.file is None and len(response.body) < 2:
            text = response.text_headers
            if text is None:
                text = response.text_headers = _text(response.headers)
            protocol.response_bytes(response.status, text, response.body[0] if response.body else b"")
        elif scope.proto != "http":
            protocol.close(None)
        else:
            await self._application(_asgi(scope, headers.items()), _Receiving(protocol), _Sending(protocol))


class _Receiving:
    """ASGI's ``receive``: there is no body, and then it waits until the client has gone."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._asked = False

    async def __call__(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._protocol.client_disconnect()
        return {"type": "http.disconnect"}


class _Sending:
    """What an ASGI application sends, as RSGI has it: a body in one message is one response, others are streams."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._start: Message = {}
        self._stream: Any = None

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._start = message
        elif kind == PATHSEND:
            self._protocol.response_file(*self._head(), message["path"])
        elif kind == RANGESEND:
            self._protocol.response_file_range(*self._head(), message["path"], message["start"], message["stop"])
        else:
            await self._send_body(bytes(message.get("body", b"")), more=message.get("more_body", False))

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        if self._stream is None and not more:
            self._protocol.response_bytes(*self._head(), body)
            return
        if self._stream is None:
            self._stream = self._protocol.response_stream(*self._head())
        if not body:
            return
        try:
            await self._stream.send_bytes(body)
        except RuntimeError as error:  # what granian raises for a closed connection is one; ASGI has it otherwise
            raise ConnectionResetError("the client has gone") from error

    def _head(self) -> tuple[int, list[tuple[str, str]]]:
        return self._start["status"], _text(tuple((name, value) for name, value in self._start["headers"]))


def _asgi(scope: Any, listed: list[tuple[str, str]]) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "scheme": scope.scheme,
        "method": scope.method,
        "path": scope.path,
        "raw_path": quote(scope.path).encode("ascii"),
        "query_string": scope.query_string.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in listed],
        "extensions": _EXTENSIONS,
    }


@lru_cache(64)
def _request_key(method: str, pairs: tuple[tuple[str, str], ...]) -> RequestKey:
    """What of a request decides the response; most requests are one of few."""
    return method, tuple([(_READ[name], value.encode("latin-1")) for name, value in pairs if name in _READ])


def _text(headers: Headers) -> _Pairs:
    return [_text_pair(pair) for pair in headers]


@lru_cache(1024)
def _text_pair(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    """A header as text; most are the same from asset to asset, and so need be there once."""
    name, value = pair
    return name.decode("latin-1"), value.decode("latin-1")
