"""Sending a response over ASGI: exactly the bytes that were promised, or a broken connection.

A body that turns out short is never padded and never ended as if it were whole; raising makes
the server close the connection, which is the only way to tell a client.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Container, MutableMapping
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel

from assetstore.backends.reader import AsyncOpenFile, FileOnDisk, buffered
from assetstore.errors import AssetStoreError, BodyTruncated
from assetstore.http.response import ByteSpan, FinishedResponse, Response, ServerFile, finished

#: Bodies of at least this many bytes are left to the server where it can send files; measured (``benchmarks``).
SENDFILE_BYTES = 2 * 1024 * 1024

#: ASGI's extension for a server that sends a whole file by its path; and ours for a part of one.
PATHSEND, RANGESEND = "http.response.pathsend", "assetstore.rangesend"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class BrokenOff(Exception):
    """The body could not be finished after the headers had gone out; the server is to close the connection."""


async def send_response(
    answer: Response,
    opened: AsyncOpenFile | None,
    receive: Receive,
    send: Send,
    extensions: Container[str] = frozenset(),
) -> None:
    """Send *answer*, whose parts are read from *opened*. Closing the file is the caller's.

    *extensions* are those of the ASGI scope: a large file is left to a server that can send it by itself.

    Raises:
        BodyTruncated, VersionChanged, BackendError: nothing was sent yet.
        BrokenOff: the headers are out already.
    """
    if not answer.needs_file:
        await send_finished(finished(answer), send)
        return
    start = {"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)}
    by_server = _by_server(answer, opened, extensions)
    if by_server is not None:
        await send(start)
        await send(_message_of(by_server))
        return
    content = _at_hand(answer, opened)
    if content is not None:
        await send(start)
        await send({"type": "http.response.body", "body": content, "more_body": False})
        return
    async with aclosing(_chunks(answer, opened)) as chunks:
        first, more = await anext(chunks)
        if not more:
            await send(start)
            await send({"type": "http.response.body", "body": first, "more_body": False})
            return
        await _stream(start, first, chunks, receive, send)


async def send_finished(answer: FinishedResponse, send: Send) -> None:
    """Send an answer of which nothing has to be waited for.

    The messages are made anew each time, since middleware may write into them.
    """
    status, headers, pieces, by_server = answer
    try:
        await send({"type": "http.response.start", "status": status, "headers": [*headers]})
        if by_server is not None:
            await send(_message_of(by_server))
            return
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # Others get their turn; and it makes every answer faster (``benchmarks``).
            await anyio.lowlevel.checkpoint()
        await send({"type": "http.response.body", "body": pieces[-1] if pieces else b"", "more_body": False})
    except OSError:  # the client is gone (ASGI HTTP specification 2.4)
        pass


async def whole(opened: AsyncOpenFile, size: int) -> tuple[bytes, ...]:
    """All bytes of a file of *size* bytes, in pieces as they were read.

    Raises:
        BodyTruncated, VersionChanged, BackendError: it has other bytes, or they cannot be read.
    """
    return tuple([chunk async for chunk in _exactly(opened, ByteSpan(0, size))])


def pays_by_server(part: ByteSpan) -> bool:
    """Whether *part* is large enough for a server to send it by itself, if it can."""
    return part.stop - part.start >= SENDFILE_BYTES


def kind_for_server(part: ByteSpan, size: int, extensions: Container[str]) -> str | None:
    """The message by which a server sends *part* of a file of *size* bytes by itself.

    ``None`` if it has no such message, or if sending it so would not pay.
    """
    if not pays_by_server(part):
        return None
    if part == ByteSpan(0, size) and PATHSEND in extensions:
        return PATHSEND
    return RANGESEND if RANGESEND in extensions else None


def is_for_server(answer: Response, size: int, extensions: Container[str]) -> bool:
    """Whether a server would send the body of *answer* by itself, from a file of *size* bytes."""
    part = answer.body[0] if len(answer.body) == 1 else None
    return isinstance(part, ByteSpan) and kind_for_server(part, size, extensions) is not None


def _by_server(answer: Response, opened: AsyncOpenFile | None, extensions: Container[str]) -> ServerFile | None:
    part = answer.body[0]
    if len(answer.body) > 1 or not isinstance(part, ByteSpan) or opened is None:
        return None
    kind = kind_for_server(part, opened.stat.size, extensions)
    if kind is None or not isinstance(opened, FileOnDisk):  # asked last: a protocol is slow to compare with
        return None
    path = opened.path_to_it()
    return None if path is None else ServerFile(kind, path, part.start, part.stop)


def _message_of(by_server: ServerFile) -> Message:
    kind, path, start, stop = by_server
    return {"type": kind, "path": path} | ({"start": start, "stop": stop} if kind == RANGESEND else {})


def _at_hand(answer: Response, opened: AsyncOpenFile | None) -> bytes | None:
    """The body, where it is one part of a file that holds it already."""
    part = answer.body[0]
    if len(answer.body) > 1 or not isinstance(part, ByteSpan):
        return None
    return buffered(opened, part.start, part.stop)


async def _stream(
    start: Message, first: bytes, rest: AsyncIterator[tuple[bytes, bool]], receive: Receive, send: Send
) -> None:
    """Send a body of several chunks for as long as the client is there."""
    failure: AssetStoreError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_disconnect, receive, tasks.cancel_scope)
        try:
            await send(start)
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for chunk, more in rest:
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except OSError:  # the client is gone (ASGI HTTP specification 2.4)
            pass
        except AssetStoreError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise BrokenOff(str(failure)) from failure


async def _cancel_on_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel *scope* when the client leaves; what it uploads meanwhile is dropped."""
    whole = False
    while (message := await receive())["type"] != "http.disconnect":
        if whole:
            return  # a harness that repeats the request for ever, instead of waiting as a server does
        whole = not message.get("more_body", False)
    scope.cancel()


async def _chunks(answer: Response, opened: AsyncOpenFile | None) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each chunk of the body, and whether there are more."""
    left = sum(piece.stop - piece.start if isinstance(piece, ByteSpan) else len(piece) for piece in answer.body)
    for piece in answer.body:
        if not isinstance(piece, ByteSpan):
            left -= len(piece)
            yield piece, left > 0
            continue
        if opened is None:
            raise TypeError("an answer that needs a file was given none")
        async with aclosing(_exactly(opened, piece)) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                yield chunk, left > 0


async def _exactly(opened: AsyncOpenFile, part: ByteSpan) -> AsyncGenerator[bytes, None]:
    """The bytes of *part*, neither more nor fewer."""
    left = part.stop - part.start
    chunks = opened.chunks(part.start, part.stop)
    try:
        async for chunk in chunks:
            if len(chunk) > left:
                break
            left -= len(chunk)
            yield chunk
            if not left:  # without asking once more only to hear that this was all
                return
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    raise BodyTruncated(
        f"{opened.stat.path!r} gave other bytes than the {part.stop - part.start} from {part.start} on",
        path=opened.stat.path,
    )
