"""What a manifest vouches for is compared with its digest before, or while, it is sent as immutable."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from asgi.client import scope_of
from assetstore import AssetStore
from assetstore.http.etags import WAIT_BYTES
from assetstore.http.send import BrokenOff
from assetstore.names.manifest import dump
from servers.s3 import S3Bucket

IMMUTABLE = "max-age=31536000, public, immutable"
LARGE, OTHER, LATER = b"right" * WAIT_BYTES, b"wrong" * WAIT_BYTES, b"later" * WAIT_BYTES


async def fetch(app: Any, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes, bool]:
    """Status, Cache-Control, body, and whether that was broken off."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = scope_of(path, method, headers)
    broken = False
    try:
        await app(scope, receive, send)
    except BrokenOff:
        broken = True
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told["cache-control"], b"".join(each.get("body", b"") for each in sent[1:]), broken


@pytest.fixture
def published(tmp_path: Path, moto_bucket: S3Bucket) -> tuple[AssetStore, str, str]:
    """A store over a bucket with two releases in it, and the names of a large file in the first and the second."""
    (tmp_path / "site").mkdir()
    options = moto_bucket.server.options
    site = AssetStore({})
    site.static("/assets/", root=tmp_path / "site", name="assets")
    names = []
    for content in (LARGE, LATER):
        (tmp_path / "site/film.bin").write_bytes(content)
        (release,) = site.publish(f"{moto_bucket.url}/site", storage_options=options)
        names.append(release.manifest.entries["film.bin"].fingerprinted_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(dump(release.manifest))
    served = AssetStore({})
    served.static("/assets/", root=f"{moto_bucket.url}/site", name="assets", storage_options=options, manifest=manifest)
    return served, names[0], names[1]


#: Requests that get no more than a part of the bytes.
PARTS: list[tuple[str, dict[str, str]]] = [("HEAD", {}), ("GET", {"Range": "bytes=0-9"})]


def put(bucket: S3Bucket, name: str, data: bytes) -> None:
    """An object as a stranger writes it: without what a publish records."""
    bucket.client.put_object(Bucket=bucket.name, Key=f"site/{name}", Body=data)


def test_a_large_object_with_other_bytes_is_broken_off_before_its_end_and_forgotten(
    published: tuple[AssetStore, str, str], moto_bucket: S3Bucket
) -> None:
    store, name, _ = published
    app = Starlette(routes=store.routes)
    put(moto_bucket, name, OTHER)

    async def visit() -> None:
        status, cache_control, body, broken = await fetch(app, name)
        assert (status, broken) == (200, True)
        assert len(body) < len(OTHER)
        put(moto_bucket, name, LARGE)
        for _ in range(2):
            status, cache_control, body, broken = await fetch(app, name)
            assert (status, cache_control, body == LARGE, broken) == (200, IMMUTABLE, True, False)
        for method, more in PARTS:
            assert (await fetch(app, name, method, **more))[1] == IMMUTABLE, "what was sent whole is known"
        await store.aclose()

    asyncio.run(visit())


def test_a_part_of_a_large_object_is_not_immutable_before_all_of_it_is_known(
    published: tuple[AssetStore, str, str], moto_bucket: S3Bucket
) -> None:
    store, name, _ = published
    app = Starlette(routes=store.routes)
    put(moto_bucket, name, OTHER)

    async def visit() -> None:
        for method, more in PARTS:
            status, cache_control, _, _ = await fetch(app, name, method, **more)
            assert "immutable" not in cache_control, status
        await store.aclose()

    asyncio.run(visit())


def test_a_name_that_is_not_stored_right_is_the_current_file_while_that_is_it_and_else_an_error(
    published: tuple[AssetStore, str, str], moto_bucket: S3Bucket
) -> None:
    store, earlier, current = published
    app = Starlette(routes=store.routes)
    put(moto_bucket, earlier, LARGE[:-1])
    put(moto_bucket, current, LATER[:-1])

    async def visit() -> None:
        assert (await fetch(app, earlier))[:2] == (502, "no-store")
        assert await fetch(app, current) == (200, IMMUTABLE, LATER, False)
        await store.aclose()

    asyncio.run(visit())
