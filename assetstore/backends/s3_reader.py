"""This module owns how serving reads a bucket: aiohttp over URLs that boto3 presigned.

A cold object costs one GET, whose own headers tell size, type and validators; a range is one ranged
GET, and every later read is pinned to the same version by ``If-Match``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple, Unpack
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import aiohttp
from anyio import to_thread
from yarl import URL

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.http_facts import stat_of
from assetstore.backends.ranged import CHUNK_BYTES, arriving, not_satisfiable, range_header, same_version
from assetstore.backends.s3_client import S3Options
from assetstore.backends.s3_errors import translate, translate_response
from assetstore.backends.s3_place import Place
from assetstore.backends.s3_presign import Method, Presigner
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
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = WeakKeyDictionary()

    async def stat(self, path: str) -> FileStat:
        try:
            response = await self._ask("HEAD", path, {})
        except _Unexplained:
            opened = await self.open(path, Span(0, 1))
            await opened.aclose()
            return opened.stat
        response.release()
        return stat_of(path, response.headers)

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
        return S3AsyncFile(self, arrival)

    async def fetch(self, path: str, span: Span, validator: str | None) -> Arriving:
        """One GET: the facts of the whole object, and a body that brings *span* of it."""
        headers = {}
        if (wanted := range_header(span)) is not None:
            headers["Range"] = wanted
        if validator is not None:
            headers["If-Match"] = f'"{validator}"'
        response = await self._ask("GET", path, headers)
        try:
            return Arriving(path, response)
        except BaseException:  # headers that make no sense
            response.close()
            raise

    async def aclose(self) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.aclose()

    @property
    def label(self) -> str:
        return self._place.label

    async def _ask(self, method: Method, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
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

    async def _try(self, method: Method, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        key = self._place.key(path)
        url = self._presigner.at_once(method, key)
        if url is None:  # signing may look up credentials, over a network even
            url = await _in_thread(self._sign, method, path, key)
        session = await self._session(url)
        try:
            response = await session.request(method, URL(url, encoded=True), headers=headers, allow_redirects=False)
            if response.status in {200, 206}:
                return response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translate(error, path, self.label) from error
        raise self._refusal(response, await _beginning(response), path)

    def _sign(self, method: Method, path: str, key: str) -> str:
        try:
            return self._presigner.url(method, key)
        except AssetStoreError:
            raise
        except Exception as error:
            raise translate(error, path, self.label) from error

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes, path: str) -> AssetStoreError:
        if response.status in _ELSEWHERE:
            return _Elsewhere(f"{self.label} is in another region; give storage_options['region_name']", path=path)
        if response.status == 403 and response.method == "HEAD":
            return _Unexplained(f"{self.label} refused a HEAD of {path!r}", path=path)
        error = translate_response(response.status, _headers_of(response), body, path, self.label)
        if isinstance(error, BackendForbidden) and self._place.options.forbidden_is_missing:
            return AssetNotFound(path, self.label)
        return error

    async def _session(self, url: str) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.client.closed:
            session = self._sessions[loop] = _Session(self._place.options, _proxy_for(url))
            await session.keep_until_the_loop_ends()
        return session.client


class _Elsewhere(BackendUnavailable):
    """The bucket answers in another region."""


class _Unexplained(BackendForbidden):
    """A HEAD was refused. It has no body to say whether by policy or for wrong credentials; a GET has."""


class _Session:
    """An aiohttp session that ends with its event loop, for applications that have no lifespan."""

    def __init__(self, options: S3Options, proxy: str | None) -> None:
        self.client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.max_connections, ssl=_tls(options)),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=options.connect_timeout_seconds + options.read_timeout_seconds,  # waiting for the pool included
                sock_connect=options.connect_timeout_seconds,
                sock_read=options.read_timeout_seconds,
            ),
            headers={"Accept-Encoding": "identity", "User-Agent": "assetstore"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            proxy=proxy,  # found once: aiohttp's own trust_env looks into files for every request
            read_bufsize=CHUNK_BYTES,
        )
        # aiohttp would send what a reset connection lost a second time by itself. Attempts are counted
        # and limited in one place, which is not here.
        self.client._retry_connection = False
        self._kept = self._keep()

    async def keep_until_the_loop_ends(self) -> None:
        # Every loop that ends properly closes the asynchronous generators that it has seen begin.
        await anext(self._kept)

    async def aclose(self) -> None:
        await self._kept.aclose()

    async def _keep(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.client.close()


class Arriving:
    """An answer that begins to arrive: whose bytes they are, and which."""

    __slots__ = ("_rest", "response", "start", "stat", "stop")

    def __init__(self, path: str, response: aiohttp.ClientResponse) -> None:
        headers = response.headers  # which find names in any case
        self.response = response
        self._rest = b""
        self.stat = stat_of(path, headers)
        self.start, self.stop = arriving(headers, self.stat.size)

    async def some(self, stop: int, label: str) -> bytes:
        """The next bytes, none from *stop* on."""
        try:
            chunk = self._rest or await self._received()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translate(error, self.stat.path, label) from error
        if not chunk:
            raise BodyTruncated(f"{self.stat.path!r} broke off after {self.start} bytes", path=self.stat.path)
        wanted = stop - self.start
        chunk, self._rest = chunk[:wanted], chunk[wanted:]
        self.start += len(chunk)
        return chunk

    async def _received(self) -> bytes:
        """What the socket gave, uncopied; ``b""`` at the end."""
        while True:
            chunk, boundary = await self.response.content.readchunk()
            if chunk or not boundary:
                return chunk

    def close(self) -> None:
        """Give the connection back if its body was read to the end, else give it up."""
        if self.response.content.at_eof() and not self._rest:
            self.response.release()
        else:
            self.response.close()


class S3AsyncFile:
    """One version of an object, with a body already on its way."""

    def __init__(self, reader: S3Reader, arrival: Arriving) -> None:
        self.stat = arrival.stat
        self._reader = reader
        self._arrival: Arriving | None = arrival

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            arrival = await self._arriving(start, stop)
            try:
                while arrival.start < start:  # a server that sends from the beginning, whatever was asked
                    await arrival.some(start, self._reader.label)
                chunk = await arrival.some(stop, self._reader.label)
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
        arrival = self._arrival = await self._reader.fetch(self.stat.path, Span(start, stop), self.stat.validator)
        if not same_version(arrival.stat, self.stat):
            await self.aclose()
            raise VersionChanged(f"{self.stat.path!r} was replaced while it was read", path=self.stat.path)
        return arrival

    async def aclose(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.close()


async def _in_thread(work: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> T:
    """What boto3 does may wait for a network; who is cancelled does not wait for it."""
    return await to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """What an error's body says, as far as it comes: the status alone tells enough."""
    body = b""
    try:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            while len(body) < ERROR_BYTES and (chunk := await response.content.read(ERROR_BYTES)):
                body += chunk
    finally:
        response.close()
    return body


def _headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _translate(error: BaseException, path: str, label: str) -> AssetStoreError:
    said = f"{label} failed on {path!r}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return BackendTimeout(said, path=path)
    if isinstance(error, aiohttp.ClientPayloadError):
        return BodyTruncated(said, path=path)
    return BackendUnavailable(said, path=path)


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for *url*, as boto3 would use it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _tls(options: S3Options) -> ssl.SSLContext | bool:
    if isinstance(options.verify, str):
        return ssl.create_default_context(cafile=options.verify)
    return options.verify is not False
