"""This module owns the connections to a bucket: aiohttp's pool of them, which lives as long as its event loop."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from assetstore.backends.s3_client import S3Options
from assetstore.backends.s3_exchange import Answer, exchange, lines_of

#: Sent with every request.
_ALWAYS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "assetstore"}


class Session:
    """The connections of one event loop; they end with it, for applications that have no lifespan."""

    def __init__(self, options: S3Options) -> None:
        self._pool = aiohttp.TCPConnector(limit=options.max_connections, ssl=_tls(options))
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

    async def ask(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """What the server of *url*, which is encoded already, answers.

        Raises:
            One of :data:`~assetstore.backends.s3_exchange.FAULTS`.
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


def _tls(options: S3Options) -> ssl.SSLContext | bool:
    if isinstance(options.verify, str):
        return ssl.create_default_context(cafile=options.verify)
    return options.verify is not False
