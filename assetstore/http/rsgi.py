"""This module owns the RSGI door: the same application, spoken to as granian does it itself.

What memory knows is answered without an ASGI message on the way. Everything else goes to the ASGI
application, whose messages are translated one by one; large files, and parts of them, are left to
the server (RSGI specification 1.5, ``response_file`` and ``response_file_range``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

from assetstore.http.answer import Ready
from assetstore.http.body import PATHSEND, RANGESEND, Message, Receive, Send
from assetstore.http.memory import Memory
from assetstore.http.policy import Headers
from assetstore.http.request import READ

_EXTENSIONS: dict[str, dict[str, object]] = {PATHSEND: {}, RANGESEND: {}}
_READ = {name.decode(): name for name in READ}
#: Lists of headers that are kept as text.
MAX_TEXTS = 4096


Application = Callable[[Message, Receive, Send], Awaitable[None]]


class RsgiDoor:
    """*application* for a server that speaks RSGI.

    Args:
        application: answers what memory does not know.
        memory: the memory of the store that *application* serves.
        lifespan: entered before the first request, left after the last.
    """

    def __init__(
        self, application: Application, memory: Memory, lifespan: AbstractAsyncContextManager[None] | None = None
    ) -> None:
        self._application = application
        self._memory = memory
        self._lifespan = lifespan
        self._texts: dict[int, tuple[Headers, list[tuple[str, str]]]] = {}

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aenter__())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aexit__(None, None, None))

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(None)
            return
        listed = scope.headers.items()
        asked = tuple([(_READ[name], value.encode("latin-1")) for name, value in listed if name in _READ])
        ready = self._memory.recall(self._key(scope), (scope.method, asked), _EXTENSIONS)
        if ready is not None:
            self._respond(ready, protocol)
            return
        await self._application(_asgi(scope, listed), _Receiving(protocol), _Sending(protocol))

    def _key(self, scope: Any) -> str:
        path: str = scope.path
        return self._memory.key_of(_asgi(scope, scope.headers.items())) if self._memory.by_host else path

    def _respond(self, ready: Ready, protocol: Any) -> None:
        status, headers, pieces, by_server = ready
        if by_server is None:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            protocol.response_bytes(status, self._text(headers), body)
        elif by_server.kind == PATHSEND:
            protocol.response_file(status, self._text(headers), by_server.path)
        else:
            protocol.response_file_range(status, self._text(headers), *by_server[1:])

    def _text(self, headers: Headers) -> list[tuple[str, str]]:
        """*headers* as text. Those that are remembered are the same object each time, and so is their text."""
        known = self._texts.get(id(headers))
        if known is None or known[0] is not headers:
            if len(self._texts) >= MAX_TEXTS:
                self._texts.clear()
            known = self._texts[id(headers)] = headers, _text(headers)
        return known[1]


class _Receiving:
    """What an ASGI application is told: there is no body, and then whether the client has gone."""

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
        if body:
            await self._stream.send_bytes(body)

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


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
