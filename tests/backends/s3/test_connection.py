"""Connections to a bucket: through the proxy that the environment names, with the TLS that the mount asks for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import aiohttp
import certifi
import pytest
from yarl import URL

from assetstore.backends.s3.client import S3Options
from assetstore.backends.s3.connection import S3Connections, _proxy_for, _tls


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bucket.s3.amazonaws.com/a", "http://proxy.example:3128"),
        ("http://bucket.internal/a", None),
        ("https://127.0.0.1:9000/bucket/a", None),
    ],
)
def test_the_environment_s_proxy_is_used_but_not_for_what_it_excepts(
    url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.internal")
    monkeypatch.setenv("no_proxy", "127.0.0.1,.internal")
    assert _proxy_for(url) == (expected and URL(expected))


def test_certificates_are_verified_unless_told_otherwise() -> None:
    assert _tls(True) is True
    assert _tls(False) is False
    assert isinstance(_tls(certifi.where()), ssl.SSLContext)


def test_a_session_ends_with_its_event_loop() -> None:
    async def scenario() -> S3Connections:
        session = S3Connections(S3Options())
        await session.keep_until_the_loop_ends()
        return session

    assert asyncio.run(scenario()).closed


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param(
            "http://bucket.example/a.txt?X-Amz-Signature=1",
            [
                "GET http://bucket.example/a.txt?X-Amz-Signature=1 HTTP/1.1",
                "Host: bucket.example",
                "Proxy-Authorization: Basic bWU6c2VjcmV0",
            ],
            id="a proxy is given the whole URL, and its own secret",
        ),
        pytest.param(
            "https://bucket.example/a.txt",
            ["CONNECT bucket.example:443 HTTP/1.1", "Proxy-Authorization: Basic bWU6c2VjcmV0"],
            id="what goes over TLS goes through it unread",
        ),
    ],
)
def test_a_proxy_is_asked_as_one(url: str, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        status = b"200 OK" if heads[0].startswith("GET") else b"502 Bad Gateway"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
        address = f"http://me:secret@127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("https_proxy", address)
        monkeypatch.setenv("no_proxy", "")
        session = S3Connections(S3Options())
        await session.keep_until_the_loop_ends()
        with contextlib.suppress(aiohttp.ClientHttpProxyError):
            (await session.request("GET", url, {})).close()
        await session.aclose()
        listening.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))
    lines = heads[0].split("\r\n")
    assert lines[0] == asked[0]
    assert set(asked[1:]) <= set(lines)
