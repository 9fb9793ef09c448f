"""From a request and a representation to a response, a plain value; and the responses to errors.

Nothing here reads, waits or sends: a request and a representation go in, an answer comes out.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import NamedTuple

from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendError,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    UnexpectedResponse,
    UnsafePath,
    VersionChanged,
)
from assetstore.http.conditional import Verdict
from assetstore.http.ranges import content_range, unsatisfied
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response_headers import Headers, raw

#: Bodies of up to this many bytes are worth putting together.
FEW_BYTES = 64 * 1024
#: What a server is given at once of a longer one: it goes out faster than in larger pieces, or in smaller; measured
#: (``benchmarks``).
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ByteSpan:
    """The bytes ``start`` to ``stop`` (half-open) of the file."""

    start: int
    stop: int


#: What a body is made of, in order.
Piece = bytes | ByteSpan


@dataclass(frozen=True, slots=True)
class Response:
    """A response that only has to be sent."""

    status: int
    headers: Headers
    body: tuple[Piece, ...] = ()
    #: Whether any of the body has to come from the file.
    needs_file: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs_file", any(isinstance(piece, ByteSpan) for piece in self.body))


class ServerFile(NamedTuple):
    """A body that the server sends by itself: the bytes ``start`` to ``stop`` of a file on disk."""

    #: The message that says so.
    kind: str
    path: str
    start: int
    stop: int


class FinishedResponse(NamedTuple):
    """An answer of which nothing has to be waited for: all its bytes are here, in order, or left to the server."""

    status: int
    headers: Headers
    body: tuple[bytes, ...] = ()
    by_server: ServerFile | None = None


def finished(answer: Response) -> FinishedResponse:
    """*answer*, which needs no file, as one that is ready.

    Raises:
        TypeError: it does need one.
    """
    pieces = tuple(piece for piece in answer.body if isinstance(piece, bytes))
    if len(pieces) != len(answer.body):
        raise TypeError("an answer that needs a file was taken for one that does not")
    return FinishedResponse(answer.status, answer.headers, packed(pieces))


def packed(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same bytes, in one piece where they are few."""
    return (b"".join(pieces),) if len(pieces) > 1 and sum(map(len, pieces)) <= FEW_BYTES else pieces


def cut(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The same bytes in pieces of :data:`PIECE_BYTES`; the last may be shorter."""
    if all(len(piece) == PIECE_BYTES for piece in pieces[:-1]) and all(len(piece) <= PIECE_BYTES for piece in pieces):
        return pieces
    content = b"".join(pieces)
    return tuple([content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)])


def respond(request: AssetRequest, chosen: Representation, now: float) -> Response:
    """Answer a GET or HEAD with the *chosen* representation (RFC 9110 section 13.2.2).

    Preconditions come first, then the ranges; they are cut from uncoded bytes only, which the
    caller chooses where :meth:`AssetRequest.wants_part` says so.
    """
    verdict = request.preconditions.evaluate(chosen.validators, now)
    if verdict is Verdict.NOT_MODIFIED:
        return Response(304, chosen.not_modified)
    if verdict is Verdict.FAILED:
        return plain_response(412, chosen.refused, "Precondition Failed", head=request.head)
    if request.ranges is not None and request.wants_part(chosen.validators, now):
        parts = tuple(ByteSpan(start, stop) for start, stop in request.ranges.select(chosen.size))
        return _partial(request, chosen, parts)
    return Response(200, chosen.full, () if request.head else _whole(chosen))


def _whole(chosen: Representation) -> tuple[Piece, ...]:
    if chosen.content is not None:
        return (chosen.content,)
    return (ByteSpan(0, chosen.size),) if chosen.size else ()


def _partial(request: AssetRequest, chosen: Representation, parts: tuple[ByteSpan, ...]) -> Response:
    if not parts:
        headers = (*chosen.refused, *raw({"content-range": unsatisfied(chosen.size)}))
        return plain_response(416, headers, "Range Not Satisfiable", head=request.head)
    if len(parts) > 1:
        return _multipart(chosen, parts)
    only = parts[0]
    about = {
        "content-type": chosen.media_type,
        "content-length": str(only.stop - only.start),
        "content-range": content_range(only.start, only.stop, chosen.size),
    }
    return Response(206, (*chosen.partial, *raw(about)), _cut(chosen, only))


def _multipart(chosen: Representation, parts: tuple[ByteSpan, ...]) -> Response:
    """Several parts as multipart/byteranges (section 14.6)."""
    # Not random, so that an answer stays a function of its request; no file can hold it by chance.
    seed = repr((chosen.full, parts)).encode()
    boundary = hashlib.sha256(seed).hexdigest()[:32]
    body: list[Piece] = []
    length = 0
    for number, part in enumerate(parts):
        head = (
            f"{'' if number == 0 else chr(13) + chr(10)}--{boundary}\r\n"
            f"Content-Type: {chosen.media_type}\r\n"
            f"Content-Range: {content_range(part.start, part.stop, chosen.size)}\r\n\r\n"
        ).encode("latin-1")
        body += [head, *_cut(chosen, part)]
        length += len(head) + part.stop - part.start
    closing = f"\r\n--{boundary}--\r\n".encode()
    about = {
        "content-type": f"multipart/byteranges; boundary={boundary}",
        "content-length": str(length + len(closing)),
    }
    return Response(206, (*chosen.partial, *raw(about)), (*body, closing))


def _cut(chosen: Representation, part: ByteSpan) -> tuple[Piece, ...]:
    return (part,) if chosen.content is None else (chosen.content[part.start : part.stop],)


def plain_response(status: int, headers: Headers, text: str, *, head: bool = False) -> Response:
    """A short answer in words, which tell nothing but the status."""
    body = text.encode("ascii")
    about = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    return Response(status, (*headers, *raw(about)), () if head else (body,))


#: Seconds after which a client may try again, where the storage named none.
RETRY_SECONDS = 5
_MAX_RETRY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """What is said to the client: a status, its phrase, and when to come back."""

    status: int
    phrase: str
    retry_after_seconds: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this failure adds."""
        return {} if self.retry_after_seconds is None else {"retry-after": str(self.retry_after_seconds)}


NOT_FOUND = ErrorStatus(404, "Not Found")
BAD_GATEWAY = ErrorStatus(502, "Bad Gateway")
UNAVAILABLE = ErrorStatus(503, "Service Unavailable", RETRY_SECONDS)
TIMEOUT = ErrorStatus(504, "Gateway Timeout", RETRY_SECONDS)

#: The most specific error wins.
TABLE: dict[type[AssetStoreError], ErrorStatus] = {
    AssetNotFound: NOT_FOUND,
    UnsafePath: NOT_FOUND,
    # A mistake between this server and its storage, which the log reports; for clients there is no such file.
    BackendForbidden: NOT_FOUND,
    BackendCredentials: UNAVAILABLE,
    BackendThrottled: UNAVAILABLE,
    BackendTimeout: TIMEOUT,
    BackendUnavailable: UNAVAILABLE,
    # These two are tried once more before they come to the client.
    VersionChanged: BAD_GATEWAY,
    BodyTruncated: BAD_GATEWAY,
    RangeNotSatisfiable: BAD_GATEWAY,
    UnexpectedResponse: BAD_GATEWAY,
    BackendError: BAD_GATEWAY,
}

#: Errors that say no more than that the file changed between two looks at it.
CHANGED_MEANWHILE = (VersionChanged, BodyTruncated, RangeNotSatisfiable)


def error_status(error: AssetStoreError) -> ErrorStatus:
    """What a client is told of *error*."""
    found = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), BAD_GATEWAY)
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        wait = min(max(1, math.ceil(error.retry_after_seconds)), _MAX_RETRY_SECONDS)
        return ErrorStatus(found.status, found.phrase, wait)
    return found
