"""A remote mount's names, wired as its owner said."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.names.base import LocalResolver
from assetstore.names.listing import Index, IndexResolver, LazyResolver
from servers.fault_proxy import FaultProxy
from servers.faults import REFUSE
from servers.s3 import S3Bucket
from waiting import eventually


@pytest.fixture
def behind(moto_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]) -> FaultProxy:
    moto_bucket.put({"app.css": b"body", "a b.js": b"code"})
    return fault_proxy(moto_bucket.server.endpoint_url)


def mounted(bucket: S3Bucket, proxy: FaultProxy, index: str | Index) -> AssetStore:
    assets = AssetStore()
    options = {**bucket.server.options, "endpoint_url": proxy.url, "attempts": 1}
    assets.static("/media/", root=bucket.url, name="media", storage_options=options, index=index)
    return assets


def fingerprinted(url: str) -> bool:
    return len(url) > 64


def test_url_for_on_a_bucket_asks_nothing_but_one_listing(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, Index(wait_seconds=5))
    urls = [assets.url_for("media", file="app.css") for _ in range(100)]
    assert fingerprinted(urls[0])
    assert urls == urls[:1] * 100
    looked = f"/{moto_bucket.name}/.assetstore/current.json"
    requests = [(each.method, each.path) for each in behind.requests]
    assert requests == [("HEAD", looked), ("GET", f"/{moto_bucket.name}")]


def test_url_for_gives_the_plain_url_without_a_warning_until_the_names_are_known(
    moto_bucket: S3Bucket, behind: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    assets = mounted(moto_bucket, behind, "listing")
    assert assets.url_for("media", file="app.css") == "/media/app.css"
    assert eventually(lambda: fingerprinted(assets.url_for("media", file="app.css")))
    # Every warning names its storage; an index of an earlier test may still be complaining of its own.
    said = [record.getMessage() for record in caplog.records if record.name == "assetstore"]
    assert not [message for message in said if moto_bucket.name in message]
    assert assets.url_for("media", file="ap.css") == "/media/ap.css"
    assert "did you mean 'app.css'" in caplog.text


def test_a_bucket_that_cannot_be_reached_costs_a_page_nothing(
    moto_bucket: S3Bucket, behind: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    behind.use(REFUSE)
    assets = mounted(moto_bucket, behind, "listing")
    began = time.monotonic()
    assert assets.url_for("media", file="app.css") == "/media/app.css"
    assert time.monotonic() - began < 2
    assert eventually(lambda: "cannot read the live release" in caplog.text)
    behind.heal()
    assert eventually(lambda: fingerprinted(assets.url_for("media", file="app.css")))


def test_refresh_shows_what_another_process_published_at_once(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, Index(wait_seconds=5))
    moto_bucket.put({"new.css": b"new"})
    assert not fingerprinted(assets.url_for("media", file="new.css"))
    assets.refresh()
    assert fingerprinted(assets.url_for("media", file="new.css"))


def test_the_name_is_the_one_that_serving_verifies(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, Index(wait_seconds=5))
    mount = assets.mounts.named("media")
    listed = mount.resolver.find("app.css")
    assert listed is not None
    assert mount.fingerprinter is not None
    assert mount.fingerprinter.of(mount.backend.stat("app.css"), mount.backend) == listed.fingerprint


def test_a_lazy_mount_never_lists(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, "lazy")
    assert isinstance(assets.mounts.named("media").resolver.otherwise, LazyResolver)  # type: ignore[attr-defined]
    assert not fingerprinted(assets.url_for("media", file="a b.js"))
    assert eventually(lambda: fingerprinted(assets.url_for("media", file="a b.js")))
    assert {each.method for each in behind.requests} == {"HEAD"}


def test_storage_without_a_listing_is_lazy_and_local_disk_is_live(tmp_path: object) -> None:
    assets = AssetStore()
    cdn = assets.static("/a/", root="https://cdn.example.com/", name="a")
    local = assets.static("/b/", root=str(tmp_path), name="b")
    assert isinstance(cdn.resolver.otherwise, LazyResolver)  # type: ignore[attr-defined]
    assert isinstance(local.resolver, LocalResolver)


def test_a_bucket_is_listed_by_default(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, "listing")
    assert isinstance(assets.mounts.named("media").resolver.otherwise, IndexResolver)  # type: ignore[attr-defined]
    assert behind.requests == []


@pytest.mark.parametrize("choice", ["eager", None, 3])
def test_an_unknown_index_is_told_at_wiring(choice: object, tmp_path: object) -> None:
    with pytest.raises(SettingsError, match="index="):
        AssetStore().static("/a/", root=str(tmp_path), index=choice)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"refresh_seconds": 0}, {"wait_seconds": -1}, {"kind": "eager"}])
def test_an_impossible_index_is_told_at_wiring(options: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Index(**options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _warnings_are_captured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="assetstore")


def test_serving_from_a_lazy_mount_asks_for_the_asset_alone(moto_bucket: S3Bucket, behind: FaultProxy) -> None:
    assets = mounted(moto_bucket, behind, "lazy")
    with TestClient(Starlette(routes=assets.routes)) as client:
        assert client.get("/media/app.css").content == b"body"
        assert client.get("/media/app.css", headers={"Accept-Encoding": "br, gzip"}).content == b"body"
    time.sleep(0.2)
    assert [each.method for each in behind.requests] == ["GET"]
