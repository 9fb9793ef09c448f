"""From a request and a representation to a response, a plain value; and the responses to errors.

Nothing here reads, waits or sends.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import NamedTuple, cast

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
from assetstore.http.representation import CachedFile, Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response_headers import Headers, raw

#: Bodies of up to this many bytes are worth putting together.
FEW_BYTES = 64 * 1024


class ByteSpan(NamedTuple):
    """The bytes ``start`` to ``stop`` (half-open) of the file."""

    start: int
    stop: int


#: What a body is made of, in order.
Piece = bytes | ByteSpan


@dataclass(slots=True)
class Response:
    """A response that only has to be sent. It is shared by all who get it, and so never changed."""

    status: int
    headers: Headers
    #: Bytes, and spans of :attr:`file`, or of the file that is sent along.
    body: tuple[Piece, ...] = ()
    #: Where to find the file again that a cached response is made of.
    file: CachedFile | None = None
    #: Whether a program that is given the file's path may open it by itself and send it.
    by_path: bool = True
    #: The headers as RSGI takes them, made at their first use.
    text_headers: list[tuple[str, str]] | None = field(default=None, compare=False, repr=False)

    @property
    def needs_file(self) -> bool:
        """Whether any of the body has to come from a file."""
        return ByteSpan in map(type, self.body)


def packed(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The same body, in one piece where it is few bytes in several."""
    if len(pieces) < 2 or any(piece.__class__ is ByteSpan for piece in pieces):
        return pieces
    content = cast(tuple[bytes, ...], pieces)
    return (b"".join(content),) if sum(map(len, content)) <= FEW_BYTES else pieces


def respond(request: AssetRequest, chosen: Representation, now: float) -> Response:
    """The response to a GET or HEAD with the *chosen* representation (RFC 9110 section 13.2.2).

    Preconditions come first, then the ranges; they are cut from uncoded bytes only, which the
    caller chooses where :meth:`AssetRequest.wants_part` says so.

    Args:
        now: seconds since the epoch; dates that lie after it are ignored.
    """
    if request.conditional:
        verdict = request.preconditions.evaluate(chosen.validators, now)
        if verdict is Verdict.NOT_MODIFIED:
            return Response(304, chosen.not_modified)
        if verdict is Verdict.FAILED:
            return plain_response(412, chosen.refused, "Precondition Failed", head=request.head)
    if request.ranges is not None and request.wants_part(chosen.validators, now):
        parts = tuple(ByteSpan(start, stop) for start, stop in request.ranges.select(chosen.size))
        return _partial(request, chosen, parts)
    return Response(200, chosen.full) if request.head else whole_response(chosen)


def whole_response(chosen: Representation) -> Response:
    """A 200 with all bytes of the *chosen* representation."""
    if chosen.content is not None:
        return Response(200, chosen.full, chosen.content)
    return Response(200, chosen.full, (ByteSpan(0, chosen.size),) if chosen.size else (), chosen.file, chosen.by_path)


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
    return Response(206, (*chosen.partial, *raw(about)), _cut(chosen, only), chosen.file, chosen.by_path)


def _multipart(chosen: Representation, parts: tuple[ByteSpan, ...]) -> Response:
    """Several parts as multipart/byteranges (section 14.6)."""
    # Not random, so that a response stays a function of its request; no file can hold it by chance.
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
    return Response(206, (*chosen.partial, *raw(about)), packed((*body, closing)), chosen.file)


def _cut(chosen: Representation, part: ByteSpan) -> tuple[Piece, ...]:
    """*part* of the representation: cut from its bytes where they are in memory; a piece that is wanted whole is shared."""
    if chosen.content is None:
        return (part,)
    pieces, start = [], 0
    for piece in chosen.content:
        stop = start + len(piece)
        if part.start < stop and start < part.stop:
            pieces.append(piece[max(0, part.start - start) : part.stop - start])
        start = stop
    return packed(tuple(pieces))


def plain_response(status: int, headers: Headers, text: str, *, head: bool = False) -> Response:
    """A response whose body is its status in words."""
    body = text.encode("ascii")
    about = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    return Response(status, (*headers, *raw(about)), () if head else (body,))


#: Seconds after which a client may try again, where the storage named none.
RETRY_SECONDS = 5
_MAX_RETRY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """A status, its phrase, and when to come back."""

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
    """The status and headers that a client gets for *error*."""
    found = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), BAD_GATEWAY)
    if isinstance(error, BackendThrottled) and error.retry_after_seconds is not None:
        wait = min(max(1, math.ceil(error.retry_after_seconds)), _MAX_RETRY_SECONDS)
        return ErrorStatus(found.status, found.phrase, wait)
    return found
