"""The least that an ASGI application can do: send messages that were ready before.

The messages are those that assetstore sends for the same work, recorded from it at start-up, so
both send the same bytes and the same headers. The same as an endpoint of a Starlette application,
which returns a ready ``Response``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.apps import TREE, nothing
from benchmarks.apps.ours import assets, wrapped
from benchmarks.works import WORKS, Work, bare_path


async def _recorded(application: ASGIApp, path: str, headers: Mapping[str, str]) -> tuple[Message, Message]:
    """What *application* sends for a GET: the start, and the whole body in one message."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await application(scope, receive, send)
    start, *rest = sent
    return start, {"type": "http.response.body", "body": b"".join(each.get("body", b"") for each in rest)}


async def _answer(work: Work) -> tuple[Message, Message]:
    url, headers = work.url(assets), dict(work.headers)
    if work.revalidates:
        start, _ = await _recorded(wrapped, url, headers)
        headers["If-None-Match"] = dict(start["headers"]).get(b"etag", b"").decode()
    return await _recorded(wrapped, url, headers)


async def _answers() -> dict[str, tuple[Message, Message]]:
    return {bare_path(work, work.url(assets)): await _answer(work) for work in WORKS.values()}


_ANSWERS = asyncio.run(_answers())


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The bare callable."""
    if scope["type"] != "http":
        await nothing(scope, receive, send)
        return
    start, body = _ANSWERS[scope["path"]]
    await send(start)
    await send(body)


async def pathsend(scope: Scope, receive: Receive, send: Send) -> None:
    """The bare callable, which leaves the bytes to the server."""
    if scope["type"] != "http":
        await nothing(scope, receive, send)
        return
    start, _ = _ANSWERS[scope["path"]]
    await send(start)
    await send({"type": "http.response.pathsend", "path": f"{TREE}/video/film.mp4"})


_TEXTS = {
    path: (start["status"], [(name.decode(), value.decode()) for name, value in start["headers"]], body["body"])
    for path, (start, body) in _ANSWERS.items()
}


async def rsgi(scope: Any, protocol: Any) -> None:
    """The bare callable in granian's own words."""
    protocol.response_bytes(*_TEXTS[scope.path])


def _endpoint(start: Message, body: Message) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        response = Response(body["body"], start["status"])
        response.raw_headers = list(start["headers"])
        return response

    return endpoint


starlette = Starlette(routes=[Route(path, _endpoint(*messages)) for path, messages in _ANSWERS.items()])
