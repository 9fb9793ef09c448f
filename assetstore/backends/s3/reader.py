"""This module owns how serving reads a bucket: aiohttp over URLs that boto3 presigned.

A cold object costs one GET, whose own headers tell size, type and validators; a range is one ranged
GET, and every later read is pinned to the same version by ``If-Match``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

import aiohttp
from anyio import to_thread

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.http.headers import stat_of
from assetstore.backends.http.ranged import arriving, not_satisfiable, range_header, unfit
from assetstore.backends.s3.client import Place
from assetstore.backends.s3.connection import FAULTS, Answer, Session
from assetstore.backends.s3.errors import translate, translate_response
from assetstore.backends.s3.presign import Method, Presigner
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    VersionChanged,
)


class Arriving:
    """An answer that begins to arrive: whose bytes they are, and which."""

    __slots__ = ("_answer", "_rest", "start", "stat", "stop")

    def __init__(self, path: str, answer: Answer) -> None:
        headers = answer.headers  # which find names in any case
        self._answer = answer
        self._rest = b""
        self.stat = stat_of(path, headers)
        self.start, self.stop = arriving(headers, self.stat.size)

    async def some(self, stop: int, label: str) -> bytes:
        """The next bytes, none from *stop* on."""
        try:
            chunk = self._rest or await self._received()
        except FAULTS as error:
            raise translate_fault(error, self.stat.path, label) from error
        if not chunk:
            raise BodyTruncated(f"{self.stat.path!r} broke off after {self.start} bytes", path=self.stat.path)
        wanted = stop - self.start
        chunk, self._rest = chunk[:wanted], chunk[wanted:]
        self.start += len(chunk)
        return chunk

    async def _received(self) -> bytes:
        """What the socket gave, uncopied; ``b""`` at the end."""
        while True:
            chunk, boundary = await self._answer.content.readchunk()
            if chunk or not boundary:
                return chunk

    def at_hand(self) -> bytes | None:
        """All bytes that are still to come, if they are here already; ``None`` else."""
        content = self._answer.content
        if self._rest or not content.is_eof() or content.exception() is not None:
            return None
        rest = content.read_nowait()
        if len(rest) != self.stop - self.start:
            self._rest = rest
            return None
        self.start = self.stop
        return rest

    def close(self) -> None:
        """Give the connection back if its body came to the end, else give it up."""
        self._answer.close()


#: Asks for a span of an object, of one version only where a validator is given.
Fetch = Callable[[str, Span, str | None], Awaitable[Arriving]]


class S3AsyncFile:
    """One version of an object, with a body already on its way."""

    def __init__(self, fetch: Fetch, arrival: Arriving, label: str) -> None:
        self.stat = arrival.stat
        self._fetch = fetch
        self._label = label
        self._arrival: Arriving | None = arrival

    def at_hand(self, start: int, stop: int) -> bytes | None:
        """The bytes ``start`` to ``stop``, where they are all that was asked for, and came with the headers."""
        arrival = self._arrival
        if arrival is None or (arrival.start, arrival.stop) != (start, stop):
            return None
        return arrival.at_hand()

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            arrival = await self._arriving(start, stop)
            try:
                while arrival.start < start:  # a server that sends from the beginning, whatever was asked
                    await arrival.some(start, self._label)
                chunk = await arrival.some(stop, self._label)
            except BaseException:
                await self.aclose()
                raise
            start = arrival.start
            yield chunk

    async def _arriving(self, start: int, stop: int) -> Arriving:
        arrival = self._arrival
        if arrival is not None and arrival.start == start and arrival.stop >= stop:
            return arrival
        await self.aclose()
        arrival = self._arrival = await self._fetch(self.stat.path, Span(start, stop), self.stat.validator)
        if (fault := unfit(arrival.stat, arrival.start, self.stat, start)) is not None:
            await self.aclose()
            raise fault
        return arrival

    async def aclose(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.close()


def translate_fault(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one of :data:`FAULTS`."""
    said = f"{label} failed on {path!r}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return BackendTimeout(said, path=path)
    if isinstance(error, aiohttp.ClientPayloadError):
        return BodyTruncated(said, path=path)
    return BackendUnavailable(said, path=path)


T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: The most of an error's body that is read.
ERROR_BYTES = 16 * 1024
#: Answers by which S3 says that the bucket is in another region than the URL was signed for.
_ELSEWHERE = {301, 307, 308}


class S3Reader:
    """Reads a bucket without threads; its connections belong to the event loop that uses them."""

    #: Cancelling any of it ends it at once: what a deadline needs to know.
    interruptible = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._presigner = Presigner(place.client, place.bucket)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, Session] = WeakKeyDictionary()

    async def stat(self, path: str) -> FileStat:
        try:
            answer = await self._ask("HEAD", path, {})
        except _Unexplained:
            opened = await self.open(path, Span(0, 1))
            await opened.aclose()
            return opened.stat
        answer.close()
        return stat_of(path, answer.headers)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> S3AsyncFile:
        try:
            arrival = await self.fetch(path, span, validator)
        except RangeNotSatisfiable as error:
            if error.size:
                raise
            arrival = await self.fetch(path, WHOLE, validator)  # an empty object has no ranges
            if size := arrival.stat.size:  # not empty after all: the server had not said
                arrival.close()
                raise not_satisfiable(path, size) from error
        return S3AsyncFile(self.fetch, arrival, self.label)

    async def fetch(self, path: str, span: Span, validator: str | None) -> Arriving:
        """One GET: the facts of the whole object, and a body that brings *span* of it."""
        headers = {}
        if (wanted := range_header(span)) is not None:
            headers["Range"] = wanted
        if validator is not None:
            if not validator.isprintable():
                raise VersionChanged(f"{path!r} has no version with the validator {validator!r}", path=path)
            headers["If-Match"] = f'"{validator}"'
        answer = await self._ask("GET", path, headers)
        try:
            return Arriving(path, answer)
        except BaseException:  # headers that make no sense
            answer.close()
            raise

    async def aclose(self) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.aclose()

    @property
    def label(self) -> str:
        return self._place.label

    async def _ask(self, method: Method, path: str, headers: dict[str, str]) -> Answer:
        """A successful answer; refused credentials and moved buckets are looked up afresh once."""
        try:
            return await self._try(method, path, headers)
        except BackendCredentials:
            if not await _in_thread(self._place.client.renew):
                raise
        except _Elsewhere:
            # boto3 follows the redirect, and signs for the right region from then on.
            bucket = self._place.bucket
            await _in_thread(self._place.call, path, lambda s3: s3.head_bucket(Bucket=bucket))
        self._presigner.forget()
        return await self._try(method, path, headers)

    async def _try(self, method: Method, path: str, headers: dict[str, str]) -> Answer:
        key = self._place.key(path)
        url = self._presigner.at_once(method, key)
        if url is None:  # signing may look up credentials, over a network even
            url = await _in_thread(self._sign, method, path, key)
        session = self._session() or await self._begin()
        try:
            answer = await session.ask(method, url, headers)
        except FAULTS as error:
            raise translate_fault(error, path, self.label) from error
        if answer.status in {200, 206}:
            return answer
        raise self._refusal(method, answer, await _beginning(answer), path)

    def _sign(self, method: Method, path: str, key: str) -> str:
        try:
            return self._presigner.url(method, key)
        except AssetStoreError:
            raise
        except Exception as error:
            raise translate(error, path, self.label) from error

    def _refusal(self, method: Method, answer: Answer, body: bytes, path: str) -> AssetStoreError:
        if answer.status in _ELSEWHERE:
            return _Elsewhere(f"{self.label} is in another region; give storage_options['region_name']", path=path)
        if answer.status == 403 and method == "HEAD":
            return _Unexplained(f"{self.label} refused a HEAD of {path!r}", path=path)
        error = translate_response(answer.status, _headers_of(answer), body, path, self.label)
        if isinstance(error, BackendForbidden) and self._place.options.forbidden_is_missing:
            return AssetNotFound(path, self.label)
        return error

    def _session(self) -> Session | None:
        session = self._sessions.get(asyncio.get_running_loop())
        return None if session is None or session.closed else session

    async def _begin(self) -> Session:
        session = self._sessions[asyncio.get_running_loop()] = Session(self._place.options)
        await session.keep_until_the_loop_ends()
        return session


class _Elsewhere(BackendUnavailable):
    """The bucket answers in another region."""


class _Unexplained(BackendForbidden):
    """A HEAD was refused. It has no body to say whether by policy or for wrong credentials; a GET has."""


async def _in_thread(work: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> T:
    """What boto3 does may wait for a network; who is cancelled does not wait for it."""
    return await to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


async def _beginning(answer: Answer) -> bytes:
    """What an error's body says, as far as it comes: the status alone tells enough."""
    body = b""
    try:
        with suppress(*FAULTS):
            while len(body) < ERROR_BYTES and (chunk := await answer.content.read(ERROR_BYTES)):
                body += chunk
    finally:
        answer.close()
    return body


def _headers_of(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}
