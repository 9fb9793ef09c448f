"""Nothing of a store outlives it: ``close``, the context managers, the end of lifespan, and garbage."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore, Index
from servers.s3 import S3Bucket
from waiting import eventually

#: Threads that were there before the test: stores of other tests may still live.
EARLIER: set[threading.Thread] = set()


def threads() -> set[str]:
    """Names of the threads of the stores of this test."""
    return {each.name for each in threading.enumerate() if each.name.startswith("assetstore") and each not in EARLIER}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def bucket_store(bucket: S3Bucket, **settings: Any) -> AssetStore:
    bucket.put({"media/cat.txt": b"meow"})
    assets = AssetStore(settings)
    assets.static(
        "/media/",
        root=f"{bucket.url}/media",
        name="media",
        storage_options=bucket.server.options,
        index=Index(refresh_seconds=0.2, wait_seconds=10),
    )
    return assets


@pytest.fixture(autouse=True)
def _threads_of_earlier_tests() -> None:
    gc.collect()
    EARLIER.clear()
    EARLIER.update(threading.enumerate())


def test_the_end_of_lifespan_ends_every_thread_and_connection(moto_bucket: S3Bucket) -> None:
    assets = bucket_store(moto_bucket)
    app = Starlette(routes=assets.routes, lifespan=assets.lifespan)
    before = descriptors()
    for _ in range(2):  # used again, it begins anew
        with TestClient(app) as client:
            assert eventually(lambda: "cat-" in assets.url_for("media", file="cat.txt"))
            assert client.get(assets.url_for("media", file="cat.txt")).text == "meow"
            assert threads()
        assert threads() == set()
    gc.collect()
    assert descriptors() <= before


def test_close_does_so_without_a_lifespan(moto_bucket: S3Bucket) -> None:
    with bucket_store(moto_bucket, ASSETS_STRICT=True) as assets:
        assert "cat-" in assets.url_for("media", file="cat.txt")
        assert threads()
    assert threads() == set()
    assert "cat-" in assets.url_for("media", file="cat.txt")  # names are read anew
    assets.close()
    assert threads() == set()


def test_aclose_does_so_on_an_event_loop(moto_bucket: S3Bucket) -> None:
    async def scenario() -> None:
        async with bucket_store(moto_bucket) as assets:
            assets.url_for("media", file="cat.txt")
            assert threads()
        assert threads() == set()

    anyio.run(scenario)


def test_a_store_that_is_garbage_ends_its_threads(moto_bucket: S3Bucket) -> None:
    assets = bucket_store(moto_bucket)
    assets.url_for("media", file="cat.txt")
    gone = weakref.ref(assets)
    assert threads()
    del assets
    gc.collect()
    assert gone() is None
    eventually(lambda: not threads())


def test_a_store_of_files_has_no_thread_left_either(tmp_path: Path) -> None:
    (tmp_path / "app.css").write_text("a{}")
    (tmp_path / "app.js").write_text("import './dep.js'")
    (tmp_path / "dep.js").write_text("export {}")
    assets = AssetStore({}, IMPORT_MAP={"imports": {"app": "app.js"}, "entries": ["app.js"]})
    assets.static("/assets/", root=tmp_path, name="assets", fingerprint="content")
    with TestClient(Starlette(routes=assets.routes, lifespan=assets.lifespan)) as client:
        assert client.get(assets.url_for("assets", file="app.css")).status_code == 200
        assets.render_importmap()
    assert threads() == set()
