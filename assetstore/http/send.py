"""Sending a response over ASGI: exactly the bytes that were promised, or a broken connection.

A body that turns out short is never padded and never ended as if it were whole; raising makes
the server close the connection, which is the only way to tell a client.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Container, MutableMapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel

from assetstore.backends.reader import AsyncOpenFile, FileOnDisk, buffered
from assetstore.errors import AssetNotFound, AssetStoreError, BackendError, BodyTruncated
from assetstore.http.representation import PIECE_BYTES, cut
from assetstore.http.response import ByteSpan, Piece, Response
from assetstore.util.background import running_loop

if TYPE_CHECKING:
    import asyncio

#: Bodies of at least this many bytes are left to the server where it can send files; measured (``benchmarks``).
SENDFILE_BYTES = 2 * 1024 * 1024

#: How many bytes of long bodies go out in one turn of an event loop, which takes about 5 ms. With 300 clients that read
#: large files, one piece for each of them would be a stall of 60 ms for everybody else.
TURN_BYTES = 4 * 1024 * 1024

#: What is given to a server at once of all long bodies together, in bytes, and the least of each: granian takes several
#: pieces of each before it makes us wait, and holds them for a client that reads slowly.
HELD_BYTES, LEAST_PIECE_BYTES = 4 * 1024 * 1024, 16 * 1024

#: ASGI's extension for a server that sends a whole file by its path; and ours for a part of one.
PATHSEND, RANGESEND = "http.response.pathsend", "assetstore.rangesend"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class _Turns(threading.local):
    """Shares the turns of this thread's event loop among long bodies: first come, first served."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        #: How many long bodies go out.
        self.bodies = 0

    @property
    def piece_bytes(self) -> int:
        """How much of a long body the server is given at once; the less, the more there are."""
        return max(LEAST_PIECE_BYTES, min(PIECE_BYTES, HELD_BYTES // max(1, self.bodies)))

    async def wait(self, size: int) -> None:
        """Let others have their turn, and wait until *size* more bytes may be read and sent.

        It is a checkpoint: here a request whose client has left is cancelled.
        """
        await anyio.lowlevel.checkpoint()
        loop = running_loop()
        if loop is None:  # another kind of loop
            return
        if self._loop is not loop:
            self._loop, self._left, self._waiting = loop, TURN_BYTES, deque()
            loop.call_soon(self._next, loop)
        if self._left <= 0:
            self._waiting.append(turn := loop.create_future())
            await turn
        self._left -= size

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """A new turn has begun: wake as many as it is for."""
        if self._loop is not loop:
            return
        self._left = TURN_BYTES
        for _ in range(min(len(self._waiting), TURN_BYTES // PIECE_BYTES)):
            turn = self._waiting.popleft()
            if not turn.done():  # its client may have left
                turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._next, loop)
        else:
            self._loop = None


_turns = _Turns()


class BrokenOff(Exception):
    """The body could not be finished after the headers had gone out; the server is to close the connection."""


async def send_response(
    response: Response,
    opened: AsyncOpenFile | None,
    receive: Receive,
    send: Send,
    extensions: Container[str] = frozenset(),
) -> bool:
    """Send *response*, whose spans are read from *opened*; false if the client left before its end.

    Closing the file is the caller's.

    The messages are made anew each time, since middleware may write into them. *extensions* are those of the
    ASGI scope: a large file is left to a server that can send it by itself.

    Raises:
        BodyTruncated, VersionChanged, BackendError: nothing was sent yet.
        BrokenOff: the headers are out already.
    """
    start = {"type": "http.response.start", "status": response.status, "headers": [*response.headers]}
    body = response.body
    if not response.needs_file:
        return await _send_all(start, cast("tuple[bytes, ...]", body), send)
    if opened is None:
        raise TypeError("a response that needs a file was sent without one")
    if len(body) == 1 and isinstance(body[0], ByteSpan):
        span = body[0]
        if response.by_path and (message := _by_server(span, opened, extensions)) is not None:
            return await _send_all(start, (), send, message)
        content = buffered(opened, span.start, span.stop)
        if content is not None:
            return await _send_all(start, (content,), send)
    async with aclosing(_chunks(response.body, opened)) as chunks:
        await _turns.wait(PIECE_BYTES)
        first, more = await anext(chunks)
        if more:
            return await _stream(start, first, chunks, receive, send)
        return await _send_all(start, (first,), send)


async def send_cached(response: Response, receive: Receive, send: Send, extensions: Container[str]) -> bool:
    """Send a *response* from the cache; false if the file it was made of is another by now, and nothing was sent.

    Raises:
        BrokenOff: the headers are out already.
    """
    if response.file is None:
        await send_response(response, None, receive, send)
        return True
    try:
        opened = await response.file.open()
    except (AssetNotFound, BackendError):
        return False
    try:
        await send_response(response, opened, receive, send, extensions)
    except BackendError:
        return False
    finally:
        await opened.aclose()
    return True


async def read_whole(opened: AsyncOpenFile) -> tuple[bytes, ...]:
    """All bytes of a file in pieces of one size.

    Raises:
        BodyTruncated, VersionChanged, BackendError: it has other bytes, or they cannot be read.
    """
    size = opened.stat.size
    content = buffered(opened, 0, size) if size else b""
    if content is None:
        content = b"".join([chunk async for chunk in _exactly(opened, ByteSpan(0, size))])
    return cut(content)


def _by_server(span: ByteSpan, opened: AsyncOpenFile, extensions: Container[str]) -> Message | None:
    """The message by which a server sends *span* of *opened* by itself.

    ``None`` if it has no such message, if sending it so would not pay, or if no path leads to the file any more.
    """
    if span.stop - span.start < SENDFILE_BYTES:
        return None
    is_whole = span == (0, opened.stat.size) and PATHSEND in extensions
    if (not is_whole and RANGESEND not in extensions) or not isinstance(opened, FileOnDisk):
        return None
    path = opened.path_to_it()
    if path is None:
        return None
    if is_whole:
        return {"type": PATHSEND, "path": path}
    return {"type": RANGESEND, "path": path, "start": span.start, "stop": span.stop}


async def _send_all(start: Message, body: tuple[bytes, ...], send: Send, by_server: Message | None = None) -> bool:
    """Send a body of which nothing has to be waited for, or the message that makes the server send it."""
    try:
        await send(start)
        if by_server is not None:
            await send(by_server)
            return True
        for piece in body[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # It makes every response faster, too (``benchmarks``).
            await _turns.wait(len(piece))
        await send({"type": "http.response.body", "body": body[-1] if body else b"", "more_body": False})
    except OSError:  # the client is gone (ASGI HTTP specification 2.4)
        return False
    return True


async def _stream(
    start: Message, first: bytes, rest: AsyncIterator[tuple[bytes, bool]], receive: Receive, send: Send
) -> bool:
    """Send a body of several chunks for as long as the client is there.

    A server may drop what is sent after the client has left, and then never waits; so there is a checkpoint after
    each chunk, at which the message that the client has left is heard of.
    """
    failure: AssetStoreError | None = None
    sent = False
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_disconnect, receive, tasks.cancel_scope)
        _turns.bodies += 1
        try:
            await send(start)
            chunk, more = first, True
            while True:
                size = _turns.piece_bytes
                for at in range(0, max(1, len(chunk)), size):
                    if at:
                        await _turns.wait(size)
                    is_last = not more and at + size >= len(chunk)
                    await send({"type": "http.response.body", "body": chunk[at : at + size], "more_body": not is_last})
                if not more:
                    break
                await _turns.wait(PIECE_BYTES)
                chunk, more = await anext(rest)
            sent = True
        except OSError:  # the client is gone (ASGI HTTP specification 2.4)
            pass
        except AssetStoreError as error:
            failure = error
        finally:
            _turns.bodies -= 1
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise BrokenOff(str(failure)) from failure
    return sent


async def _cancel_on_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel *scope* when the client leaves; what it uploads meanwhile is dropped."""
    whole = False
    while (message := await receive())["type"] != "http.disconnect":
        if whole:
            return  # a harness that repeats the request for ever, instead of waiting as a server does
        whole = not message.get("more_body", False)
    scope.cancel()


async def _chunks(body: tuple[Piece, ...], opened: AsyncOpenFile) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each chunk of *body*, and whether there are more."""
    left = sum(piece.stop - piece.start if isinstance(piece, ByteSpan) else len(piece) for piece in body)
    for piece in body:
        if not isinstance(piece, ByteSpan):
            left -= len(piece)
            yield piece, left > 0
            continue
        content = buffered(opened, piece.start, piece.stop)
        if content is not None:
            left -= len(content)
            yield content, left > 0
            continue
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
