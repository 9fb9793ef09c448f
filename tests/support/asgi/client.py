"""Requests to an ASGI application without a server, with every message kept as it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the application sent, checked against what ASGI and HTTP ask of every response."""

    status: int
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    chunks: int

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; no header may come twice."""
        names = [name for name, _ in self.raw_headers]
        assert len(names) == len(set(names)), f"a header was sent twice: {names}"
        return {name.decode(): value.decode("latin-1") for name, value in self.raw_headers}


def scope_of(path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **more: Any) -> Message:
    """The scope of one request; *path* is the part below the mount."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": f"/assets/{path}",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "path_params": {"file": path},
        **more,
    }


async def ask_async(app: App, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
    """One request and its reply, on the running loop."""
    sent: list[Message] = []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_of(path, method, headers), receive, send)
    return _reply(sent, method)


def ask(app: App, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
    """One request and its reply."""
    return asyncio.run(ask_async(app, path, method, headers))


def _reply(sent: Sequence[Message], method: str) -> Reply:
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    assert bodies, "a response needs a body message, if only an empty one"
    assert [each.get("more_body", False) for each in bodies] == [True] * (len(bodies) - 1) + [False]
    reply = Reply(start["status"], start["headers"], b"".join(each.get("body", b"") for each in bodies), len(bodies))
    length = reply.headers.get("content-length")
    if method == "HEAD" or reply.status in {204, 304}:
        assert reply.body == b""
    else:
        assert length == str(len(reply.body)), "Content-Length and body disagree"
    return reply
