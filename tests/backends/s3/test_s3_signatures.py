"""Credentials, against a server that verifies every signature."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import botocore.auth
import pytest
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.backends.base import BytesFile, FileStat, WriteOptions, read_bytes
from assetstore.backends.s3.backend import S3Backend, open_url
from assetstore.backends.s3.reader import S3Reader
from assetstore.errors import BackendCredentials, PublishConflict
from servers.s3 import S3Bucket, S3Server

PLAIN = WriteOptions("text/css", "no-cache")


@pytest.fixture
def bucket(swift_bucket: S3Bucket) -> S3Bucket:
    swift_bucket.put({"a b+c.css": b"body"})
    return swift_bucket


@pytest.fixture
def opened(bucket: S3Bucket) -> Iterator[object]:
    backends = []

    def open_(**changed: str | None) -> S3Backend:
        server: S3Server = replace(bucket.server, **changed)  # type: ignore[arg-type]
        backends.append(open_url(bucket.url, server.options))
        return backends[-1]

    yield open_
    for backend in backends:
        backend.client.close()


def read(backend: S3Backend) -> bytes:
    """By aiohttp, over a presigned URL."""

    async def scenario() -> bytes:
        reader = S3Reader(backend, backend.thread_reader())
        try:
            file = await reader.open("a b+c.css")
            return b"".join([chunk async for chunk in file.chunks(0, file.stat.size)])
        finally:
            await reader.aclose()

    return asyncio.run(scenario())


def test_a_right_signature_is_taken_either_way(opened) -> None:  # type: ignore[no-untyped-def]
    backend = opened()
    assert read_bytes(backend, "a b+c.css") == b"body"
    assert read(backend) == b"body"
    assert [stat.path for stat in backend.walk()] == ["a b+c.css"]


@pytest.mark.parametrize("way", [read, lambda backend: read_bytes(backend, "a b+c.css")], ids=["presigned", "signed"])
@pytest.mark.parametrize(
    "changed",
    [{"secret_key": "wrong"}, {"access_key": "nobody"}, {"session_token": "until-1"}],
    ids=["wrong secret", "unknown key", "expired session"],
)
def test_what_is_wrong_with_credentials_is_never_forbidden_nor_missing(opened, way, changed) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BackendCredentials):
        way(opened(**changed))


def test_a_session_that_lasts_is_taken(opened) -> None:  # type: ignore[no-untyped-def]
    backend = opened(session_token=f"until-{time.time() + 60:.0f}")
    assert read(backend) == b"body"


def test_a_clock_that_is_off_by_an_hour_is_a_fault_of_the_credentials(  # type: ignore[no-untyped-def]
    opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **given: now(**given) - timedelta(hours=2))
    backend = opened()
    with pytest.raises(BackendCredentials):
        read_bytes(backend, "a b+c.css")
    with pytest.raises(BackendCredentials):
        read(backend)


def test_a_server_without_conditional_writes_is_looked_at_first(opened) -> None:  # type: ignore[no-untyped-def]
    backend = opened()
    source = BytesFile(FileStat("x", 3), b"new")
    with pytest.raises(PublishConflict):
        backend.write("a b+c.css", source, replace(PLAIN, create_only=True))
    first = backend.write("new.css", source, replace(PLAIN, create_only=True))
    backend.write("new.css", BytesFile(FileStat("x", 5), b"newer"), replace(PLAIN, if_validator=first.validator))
    with pytest.raises(PublishConflict):
        backend.write("new.css", source, replace(PLAIN, if_validator=first.validator))
    assert read_bytes(backend, "new.css") == b"newer"


@pytest.mark.parametrize(
    "changed", [{"secret_key": "wrong"}, {"session_token": "until-1"}], ids=["wrong secret", "expired session"]
)
def test_clients_are_told_to_come_back_and_nothing_of_the_bucket(
    changed: dict[str, str], bucket: S3Bucket, serve_app: Callable[[object], str]
) -> None:
    assets = AssetStore()
    options = replace(bucket.server, **changed).options  # type: ignore[arg-type]
    assets.static("/media/", root=bucket.url, name="media", storage_options=options)
    address = serve_app(Starlette(routes=assets.routes, lifespan=assets.lifespan))
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}/media/a%20b%2Bc.css", timeout=30)
    with error.value as answer:
        told = f"{answer.headers}\n{answer.read().decode()}"
    assert (answer.status, answer.headers["cache-control"]) == (503, "no-store")
    assert not re.search(f"signature|token|swift|{bucket.name}", told, re.IGNORECASE)
