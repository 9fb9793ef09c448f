"""CORS for a mount whose responses only some origins may read (Fetch standard, section 3.3)."""

from __future__ import annotations

from assetstore.http.send import Application, Message, Receive, Send


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
                kept = [pair for pair in message["headers"] if pair[0] != b"vary"]
                vary = [value for name, value in message["headers"] if name == b"vary"]
                headers = [*kept, (b"vary", b", ".join([*vary, b"Origin"])), *allowed]
                message = {**message, "headers": headers}
            await send(message)

        await self._application(scope, receive, send_with_origin)
