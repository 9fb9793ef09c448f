"""Connections to a bucket: through the proxy that the environment names, with the TLS that the mount asks for."""

from __future__ import annotations

import asyncio
import ssl

import certifi
import pytest

from assetstore.backends.s3_client import S3Options
from assetstore.backends.s3_session import Session, _proxy_for, _tls


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
    assert _proxy_for(url) == expected


def test_certificates_are_verified_unless_told_otherwise() -> None:
    assert _tls(S3Options()) is True
    assert _tls(S3Options(verify=False)) is False
    assert isinstance(_tls(S3Options(verify=certifi.where())), ssl.SSLContext)


def test_a_session_ends_with_its_event_loop() -> None:
    async def scenario() -> Session:
        session = Session(S3Options(), "https://bucket.s3.amazonaws.com/a")
        await session.keep_until_the_loop_ends()
        return session

    assert asyncio.run(scenario()).client.closed
