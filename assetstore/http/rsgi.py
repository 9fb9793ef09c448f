"""RSGI, granian's own interface, for ``assetstore serve``.

What the cache has is answered without an ASGI message on the way, and what it answered before
with what the server was told then. Everything else goes to the ASGI application, whose messages are
translated one by one; large files, and parts of them, are left to the server (RSGI specification
1.5, ``response_file`` and ``response_file_range``).

Each question to granian costs a crossing into its own memory, and time in which no other thread of
it runs: hence the few there are, in the order that answers the most with the fewest.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from assetstore.http.cache import CacheEntry, RequestKey, ResponseCache
from assetstore.http.request import READ
from assetstore.http.response import FinishedResponse
from assetstore.http.response_headers import Headers
from assetstore.http.revalidation import Revalidation
from assetstore.http.send import PATHSEND, RANGESEND, Application, Message

_EXTENSIONS: dict[str, dict[str, object]] = {PATHSEND: {}, RANGESEND: {}}
_READ = {name.decode(): name for name in READ}
#: A request without any of these is for memory, whatever else it bears; one to upgrade may be none of HTTP.
_TELLING = frozenset([*_READ, "upgrade"])
_nothing_told = _TELLING.isdisjoint
#: Answers that are kept in the server's own words; about a kilobyte each, without the bytes that memory has anyway.
MAX_INSTANT = 4096

_Pairs = list[tuple[str, str]]
#: Path, method, and the headers that can change the answer.
_Asking = tuple[str, str, tuple[tuple[str, str], ...]]


class RSGIApplication:
    """*application* for a server that speaks RSGI.

    Args:
        application: answers what memory does not know.
        memory: the memory of the store that *application* serves.
        lifespan: entered before the first request, left after the last.
    """

    def __init__(
        self, application: Application, memory: ResponseCache, lifespan: AbstractAsyncContextManager[None] | None = None
    ) -> None:
        self._application = application
        self._memory = memory
        self._lifespan = lifespan
        self._instant: dict[_Asking, tuple[Revalidation, CacheEntry, int, _Pairs, bytes]] = memory.table()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aenter__())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.__aexit__(None, None, None))

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        headers = scope.headers
        names = headers.keys()
        asked = () if _nothing_told(names) else _told(headers, names)
        asking = scope.path, scope.method, asked
        known = self._instant.get(asking)
        if known is not None and (time.monotonic() < known[0].until or known[1].still_holds()):
            protocol.response_bytes(known[2], known[3], known[4])
        elif scope.proto != "http":
            protocol.close(None)
        elif not self._recall(asking, scope, protocol):
            await self._application(_asgi(scope, headers.items()), _Receiving(protocol), _Sending(protocol))

    def _recall(self, asking: _Asking, scope: Any, protocol: Any) -> bool:
        """Answer from memory; whether it knew the answer, and all of it at once."""
        path, method, pairs = asking
        key = self._memory.key_of(_asgi(scope, scope.headers.items())) if self._memory.by_host else path
        asked = method, tuple([(_READ[name], value.encode("latin-1")) for name, value in pairs if name in _READ])
        ready = self._memory.recall(key, asked, _EXTENSIONS)
        if ready is None or len(ready.body) > 1:  # a stream, as the application sends it
            return False
        headers = _text(ready.headers)
        _respond(ready, headers, protocol)
        if key == path and len(pairs) == len(asked[1]):
            self._keep(asking, asked, ready, headers)
        return True

    def _keep(self, asking: _Asking, asked: RequestKey, ready: FinishedResponse, headers: _Pairs) -> None:
        """Have *ready* cached in the server's words, if it is one that may be repeated."""
        entry = self._memory.which_repeats(asking[0], asked, ready)
        if entry is None or ready.by_server is not None:
            return
        if len(self._instant) >= MAX_INSTANT:
            self._instant.clear()
        self._instant[asking] = entry.revalidation, entry, ready.status, headers, b"".join(ready.body)


def _respond(ready: FinishedResponse, headers: _Pairs, protocol: Any) -> None:
    status, _, pieces, by_server = ready
    if by_server is None:
        protocol.response_bytes(status, headers, pieces[0] if pieces else b"")
    elif by_server.kind == PATHSEND:
        protocol.response_file(status, headers, by_server.path)
    else:
        protocol.response_file_range(status, headers, *by_server[1:])


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


def _told(headers: Any, names: list[str]) -> tuple[tuple[str, str], ...]:
    """Those of *headers* that can change the answer, which are among *names*."""
    return tuple([(name, value) for name in _TELLING.intersection(names) for value in headers.get_all(name)])


def _text(headers: Headers) -> _Pairs:
    return [_text_pair(pair) for pair in headers]


@lru_cache(1024)
def _text_pair(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    """A header as text; most are the same from asset to asset, and so need be there once."""
    name, value = pair
    return name.decode("latin-1"), value.decode("latin-1")
