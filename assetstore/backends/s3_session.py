"""This module owns the connections to a bucket: an aiohttp session that lives as long as its event loop."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from assetstore.backends.ranged import CHUNK_BYTES
from assetstore.backends.s3_client import S3Options


class Session:
    """An aiohttp session that ends with its event loop, for applications that have no lifespan."""

    def __init__(self, options: S3Options, url: str) -> None:
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
            proxy=_proxy_for(url),  # found once: aiohttp's own trust_env looks into files for every request
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


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for *url*, as boto3 would use it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _tls(options: S3Options) -> ssl.SSLContext | bool:
    if isinstance(options.verify, str):
        return ssl.create_default_context(cafile=options.verify)
    return options.verify is not False
