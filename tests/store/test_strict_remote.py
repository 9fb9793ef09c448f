"""Strict is strict for remote mounts too: an existing file has its fingerprint, a missing one raises."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from assetstore import AssetStore, Index
from assetstore.errors import AssetNotFound
from servers.processes import free_port


@pytest.mark.parametrize("index", ["listing", "lazy", Index(wait_seconds=5)], ids=["listing", "lazy", "wait"])
def test_url_for_waits_for_the_names_of_a_bucket(s3_mount: Callable[..., Any], index: Any) -> None:
    with AssetStore(ASSETS_STRICT=True) as assets:
        assets.static("/media/", root=s3_mount({"cat.jpg": b"..."}), name="media", index=index)
        assert assets.url_for("media", file="cat.jpg") != "/media/cat.jpg"
        with pytest.raises(AssetNotFound, match=r"dog\.jpg"):
            assets.url_for("media", file="dog.jpg")


def test_a_page_on_an_event_loop_has_them_once_lifespan_has_begun(s3_mount: Callable[..., Any]) -> None:
    assets = AssetStore(ASSETS_STRICT=True)
    assets.static("/media/", root=s3_mount({"cat.jpg": b"..."}), name="media")

    async def scenario() -> None:
        async with assets.lifespan(None):
            assert assets.url_for("media", file="cat.jpg") != "/media/cat.jpg"
            with pytest.raises(AssetNotFound):
                assets.url_for("media", file="dog.jpg")

    anyio.run(scenario)


def test_a_bucket_that_cannot_be_reached_makes_nobody_wait_for_long() -> None:
    options = {
        "endpoint_url": f"http://127.0.0.1:{free_port()}",
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "attempts": 1,
    }
    with AssetStore(ASSETS_STRICT=True) as assets:
        assets.static("/media/", root="s3://bucket/media", name="media", storage_options=options)
        began = time.monotonic()
        assert assets.url_for("media", file="cat.jpg") == "/media/cat.jpg"  # unknown is not missing
        assert time.monotonic() - began < 8
