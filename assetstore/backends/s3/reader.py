"""Asynchronous reads of a bucket: aiohttp, over URLs that boto3 presigned.

A cold object costs one GET, whose headers have size and validator; a range is one ranged GET, and
every later read is pinned to the same version by ``If-Match``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

import aiohttp
from anyio import to_thread

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.http import received_part, request_headers, stat_of
from assetstore.backends.ranged import Body, Download, open_ranged
from assetstore.backends.reader import AsyncOpenFile, Reader
from assetstore.backends.s3.bucket import S3Bucket
from assetstore.backends.s3.connection import FAULTS, S3Connections, S3Response
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
)


class _S3Body(Body):
    __slots__ = ("_label", "_path", "_response")

    def __init__(self, response: S3Response, path: str, label: str) -> None:
        self._response = response
        self._path = path
        self._label = label

    async def read(self, size: int) -> bytes:
        """What the socket received, uncopied, of whatever size; ``b""`` at the end."""
        try:
            while True:
                chunk, boundary = await self._response.content.readchunk()
                if chunk or not boundary:
                    return chunk
        except FAULTS as error:
            raise translate_fault(error, self._path, self._label) from error

    def buffered(self) -> bytes | None:
        content = self._response.content
        if not content.is_eof() or content.exception() is not None:
            return None
        return content.read_nowait()

    def close(self) -> None:
        self._response.close()


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

#: The most of an error's body that is read, in bytes.
ERROR_BYTES = 16 * 1024
#: Statuses by which S3 says that the bucket is in another region than the URL was signed for.
_ELSEWHERE = {301, 307, 308}


class S3Reader:
    """Reads a bucket without threads; its connections belong to the event loop that uses them."""

    #: Cancelling a call ends it at once.
    interruptible = True

    def __init__(self, bucket: S3Bucket, threads: Reader) -> None:
        self._bucket = bucket
        self._threads = threads
        self._presigner = Presigner(bucket.client, bucket.bucket)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, S3Connections] = WeakKeyDictionary()

    async def stat(self, path: str) -> FileStat:
        if await self._needs_threads():
            return await self._threads.stat(path)
        try:
            response = await self._send("HEAD", path, {})
        except _Unexplained:
            opened = await self.open(path, Span(0, 1))
            await opened.aclose()
            return opened.stat
        response.close()
        return stat_of(path, response.headers, is_s3=True)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        if await self._needs_threads():
            return await self._threads.open(path, span, validator=validator)
        return await open_ranged(self._fetch, path, span, validator)

    async def _fetch(self, path: str, span: Span, validator: str | None) -> Download:
        """One GET: the metadata of the whole object, and a body that brings *span* of it."""
        response = await self._send("GET", path, request_headers(path, span, validator))
        try:
            stat = stat_of(path, response.headers, is_s3=True)
            part = received_part(response.headers, stat.size)
            return Download(stat, part, _S3Body(response, path, self.label))
        except BaseException:
            response.close()
            raise

    async def aclose(self) -> None:
        with suppress(RuntimeError):  # another loop than asyncio's, which has no session
            session = self._sessions.pop(asyncio.get_running_loop(), None)
            if session is not None:
                await session.aclose()
        await self._threads.aclose()

    async def _needs_threads(self) -> bool:
        """Whether boto3 has to read: on trio, and where requests are answered inside this process (a test's mock)."""
        if not self._bucket.client.is_made:
            await _in_thread(self._bucket.client.get)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return self._bucket.client.is_intercepted(self._bucket.bucket)

    @property
    def label(self) -> str:
        return self._bucket.label

    async def _send(self, method: Method, path: str, headers: dict[str, str]) -> S3Response:
        """A successful response; refused credentials and moved buckets are looked up again once."""
        try:
            return await self._try(method, path, headers)
        except BackendCredentials:
            if not await _in_thread(self._bucket.client.renew):
                raise
        except _Elsewhere:
            # boto3 follows the redirect, and signs for the right region from then on.
            name = self._bucket.bucket
            await _in_thread(self._bucket.call, path, lambda s3: s3.head_bucket(Bucket=name))
        self._presigner.forget()
        return await self._try(method, path, headers)

    async def _try(self, method: Method, path: str, headers: dict[str, str]) -> S3Response:
        key = self._bucket.key(path)
        url = self._presigner.cached(method, key)
        if url is None:  # signing may look up credentials, over a network even
            url = await _in_thread(self._sign, method, path, key)
        session = self._session() or await self._begin()
        try:
            response = await session.request(method, url, headers)
        except FAULTS as error:
            raise translate_fault(error, path, self.label) from error
        if response.status in {200, 206}:
            return response
        raise self._refusal(method, response, await _beginning(response), path)

    def _sign(self, method: Method, path: str, key: str) -> str:
        try:
            return self._presigner.url(method, key)
        except AssetStoreError:
            raise
        except Exception as error:
            raise translate(error, path, self.label) from error

    def _refusal(self, method: Method, response: S3Response, body: bytes, path: str) -> AssetStoreError:
        if response.status in _ELSEWHERE:
            return _Elsewhere(f"{self.label} is in another region; give storage_options['region_name']", path=path)
        if response.status in {400, 403} and method == "HEAD":
            return _Unexplained(f"{self.label} refused a HEAD of {path!r}", path=path)
        error = translate_response(response.status, _headers_of(response), body, path, self.label)
        if isinstance(error, BackendForbidden) and self._bucket.options.forbidden_is_missing:
            return AssetNotFound(path, self.label)
        return error

    def _session(self) -> S3Connections | None:
        session = self._sessions.get(asyncio.get_running_loop())
        return None if session is None or session.closed else session

    async def _begin(self) -> S3Connections:
        verify = self._bucket.client.verify()
        session = self._sessions[asyncio.get_running_loop()] = S3Connections(self._bucket.options, verify)
        await session.keep_until_the_loop_ends()
        return session


class _Elsewhere(BackendUnavailable):
    """The bucket is in another region."""


class _Unexplained(BackendForbidden):
    """A HEAD was refused. It has no body to say why; a GET has."""


async def _in_thread(work: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> T:
    """boto3 may wait for a network; a cancelled caller does not wait for it."""
    return await to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


async def _beginning(response: S3Response) -> bytes:
    """The first bytes of an error's body, as far as they come."""
    body = b""
    try:
        with suppress(*FAULTS):
            while len(body) < ERROR_BYTES and (chunk := await response.content.read(ERROR_BYTES)):
                body += chunk
    finally:
        response.close()
    return body


def _headers_of(response: S3Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
