"""Cached responses before an application is entered."""

from __future__ import annotations

import time

from assetstore.http.cache import CachedResponse, CacheEntry, RequestKey, ResponseCache, finished_of, shared
from assetstore.http.request import READ
from assetstore.http.response import FinishedResponse
from assetstore.http.revalidation import Revalidation
from assetstore.http.send import Application, Message, Receive, Send, send_finished

#: Answers that one interface finds with one look.
MAX_CACHED = 16 * 1024


def with_response_cache(memory: ResponseCache, app: Application) -> Application:
    """*app*, which is only asked for what *memory* does not know.

    What was asked for before is cached: found by all that was asked, with one look. All of
    this is one function and no object of several, since a hot answer takes less than a microsecond
    here, and each call on the way would be a tenth of that.
    """
    #: Who knows for how long an answer may be repeated, of which URL it is, and what is known of it.
    buffered: dict[tuple[str, *RequestKey], tuple[Revalidation, CacheEntry, CachedResponse]] = memory.table()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers: tuple[tuple[bytes, bytes], ...] = ()
        for name, value in scope["headers"]:
            if name in READ:
                headers += ((name, value),)
        key = memory.key_of(scope) if memory.by_host or scope.get("root_path") else scope["path"]
        found = buffered.get((key, scope["method"], headers))
        if found is not None and (time.monotonic() < found[0].until or found[1].still_holds()):
            known: CachedResponse | None = found[2]
        else:
            known = look(key, (scope["method"], headers))
        ready = known if known.__class__ is FinishedResponse else finished_of(known, scope.get("extensions") or ())
        if ready is None:
            await app(scope, receive, send)
            return
        status, fields, pieces, by_server = ready
        if by_server is not None or len(pieces) > 1:
            await send_finished(ready, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": [*fields]})
        await send({"type": "http.response.body", "body": pieces[0] if pieces else b""})

    def look(key: str, asked: RequestKey) -> CachedResponse | None:
        """What is known now, which then is cached if it may be repeated."""
        known = memory.known(key, asked)
        entry = None if known is None else memory.which_repeats(key, asked, known)
        if known is not None and entry is not None:
            if len(buffered) >= MAX_CACHED:
                buffered.clear()
            buffered[key, *shared(asked)] = entry.revalidation, entry, known
        return known

    return answer
