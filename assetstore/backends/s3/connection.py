"""Connections to a bucket: aiohttp's pool and its HTTP/1.1 parser, without its client.

They live as long as their event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

from assetstore.backends.ranged import CHUNK_BYTES
from assetstore.backends.s3.client import S3Options

#: Everything that a request, and reading its response, may raise.
FAULTS: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)

#: What no header may hold (RFC 9110 section 5.5).
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: What is used of aiohttp beneath its public interface, by parameter.
BENEATH: Final[Mapping[Callable[..., Any], frozenset[str]]] = {
    aiohttp.TCPConnector.connect: frozenset({"req", "traces", "timeout"}),
    ResponseHandler.set_response_params: frozenset(
        {"skip_payload", "read_until_eof", "auto_decompress", "read_timeout", "read_bufsize"}
    ),
}


def require(beneath: Mapping[Callable[..., Any], frozenset[str]]) -> None:
    """Make sure that functions take the parameters that are used.

    Raises:
        ImportError: one does not; another release of aiohttp may have changed it. Then boto3 reads.
    """
    for function, parameters in beneath.items():
        if not parameters <= inspect.signature(function).parameters.keys():
            name = function.__qualname__
            raise ImportError(f"aiohttp {aiohttp.__version__} has another {name}; install 'aiohttp>=3.10,<4'")


require(BENEATH)


class S3Response:
    """The status and headers of a response, and its body. Its receiver closes it."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self, status: int, headers: CIMultiDictProxy[str], content: aiohttp.StreamReader, connection: Connection
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self._connection = connection

    def close(self) -> None:
        """Close the connection, unless the whole body was received, which released it; closing twice is harmless."""
        self._connection.release()


def lines_of(headers: Mapping[str, str]) -> str:
    """Header lines as they are sent (RFC 9112 section 5).

    Raises:
        ValueError: a value holds what would end its line.
    """
    for name, value in headers.items():
        if _CONTROLS.search(value):
            raise ValueError(f"the header {name} cannot hold {value!r}")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


async def exchange(connection: Connection, head: bytes, *, has_body: bool, read_timeout_seconds: float) -> S3Response:
    """Send *head*, a request without a body, and wait for the head of the response.

    Args:
        has_body: whether the response to this method has one.
        read_timeout_seconds: between two pieces of the response.

    Raises:
        One of :data:`FAULTS`; the connection is closed then.
    """
    try:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            skip_payload=not has_body,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=read_timeout_seconds,
            read_bufsize=CHUNK_BYTES,
        )
        transport.write(head)
        protocol.start_timeout()
        message, content = await protocol.read()
        while message.code < 200:  # 100 and 103 come before the final response
            message, content = await protocol.read()
        content.on_eof(connection.release)  # however slowly the body is read
        return S3Response(message.code, message.headers, content, connection)
    except BaseException:
        connection.close()
        raise


#: Sent with every request.
_ALWAYS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "assetstore"}


class S3Connections:
    """The connections of one event loop; they end with it, for applications that have no lifespan."""

    def __init__(self, options: S3Options, verify: bool | str = True) -> None:
        self._pool = aiohttp.TCPConnector(limit=options.max_connections, ssl=_tls(verify))
        self._read_timeout_seconds = options.read_timeout_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            connect=options.connect_timeout_seconds + options.read_timeout_seconds,  # waiting for the pool included
            sock_connect=options.connect_timeout_seconds,
        )
        self._origins: dict[str, _Origin] = {}
        self._kept = self._keep()

    @property
    def closed(self) -> bool:
        return self._pool.closed

    async def request(self, method: str, url: str, headers: Mapping[str, str]) -> S3Response:
        """The response to a request for *url*, which is percent-encoded.

        Raises:
            One of :data:`~assetstore.backends.s3.connection.FAULTS`.
        """
        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        origin = self._origins.get(scheme + authority)
        if origin is None:
            origin = self._origins[scheme + authority] = _Origin(scheme, authority)
        target = url if origin.forwarded else f"/{path}"
        head = f"{method} {target} HTTP/1.1\r\n{origin.lines}{lines_of(headers)}\r\n".encode()
        connection = await self._pool.connect(origin.request, [], self._timeout)
        return await exchange(
            connection, head, has_body=method != "HEAD", read_timeout_seconds=self._read_timeout_seconds
        )

    async def keep_until_the_loop_ends(self) -> None:
        # Every loop that ends properly closes the asynchronous generators that it has seen begin.
        await anext(self._kept)

    async def aclose(self) -> None:
        await self._kept.aclose()

    async def _keep(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._pool.close()


class _Origin:
    """What all requests to one server have in common."""

    def __init__(self, scheme: str, authority: str) -> None:
        url = f"{scheme}://{authority}/"
        proxy = _proxy_for(url)
        #: Whether a proxy passes the requests on itself; a request for https goes through it unread.
        self.forwarded = proxy is not None and scheme == "http"
        #: Tells the pool whom to connect to; it is never sent.
        self.request = aiohttp.ClientRequest("GET", URL(url), loop=asyncio.get_running_loop(), proxy=proxy)
        headers = {"Host": authority, **_ALWAYS}
        if self.forwarded and proxy is not None and proxy.user is not None:
            secret = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode("ascii")
            headers["Proxy-Authorization"] = f"Basic {secret}"
        self.lines = lines_of(headers)


def _proxy_for(url: str) -> URL | None:
    """The proxy that the environment names for *url*, as boto3 would use it."""
    parts = urlsplit(url)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return None if proxy is None else URL(proxy)


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, str):
        folder = os.path.isdir(verify)
        return ssl.create_default_context(cafile=None if folder else verify, capath=verify if folder else None)
    return verify
