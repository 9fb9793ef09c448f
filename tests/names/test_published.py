"""What a mount takes from a manifest: names for every server, and only for the published bytes."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore.backends import open_backend
from assetstore.backends.base import FileStat, WritableBackend
from assetstore.errors import AssetNotFound, ManifestError
from assetstore.names.listing import Index
from assetstore.names.manifest import Manifest, ManifestFile, dump
from assetstore.names.published import ManifestResolver, PublishedFingerprint, WatchedResolver
from assetstore.publish import publish
from assetstore.store import AssetStore
from servers.s3 import S3Bucket

IMMUTABLE = "max-age=31536000, public, immutable"
PLAIN = "max-age=0, public, must-revalidate"


@pytest.fixture
def shipped(asset_tree: Path, tmp_path: Path) -> Path:
    """The manifest of a release of the asset tree, as the code ships with it."""
    mount = AssetStore({}).static("/assets/", root=asset_tree, name="assets")
    target = open_backend(tmp_path / "bucket", must_exist=False)
    assert isinstance(target, WritableBackend)
    path = tmp_path / "assets.json"
    path.write_bytes(dump(publish(mount, target).manifest))
    return path


@pytest.fixture
def other_server(asset_tree: Path, tmp_path: Path) -> Path:
    """The same files on a machine where they have other times."""
    copy = tmp_path / "other server"
    shutil.copytree(asset_tree, copy)
    for number, file in enumerate(copy.rglob("*")):
        os.utime(file, (number, number))
    return copy


def read(where: Path) -> Manifest:
    return ManifestFile(where).read()[0]


def store(root: Path | str, manifest: Any, **arguments: Any) -> AssetStore:
    assets = AssetStore({"ASSETS_STRICT": arguments.pop("strict", False)})
    assets.static("/assets/", root=root, name="assets", manifest=manifest, **arguments)
    return assets


@pytest.fixture
def published_url(asset_tree: Path) -> str:
    """What the machine that published calls the style sheet."""
    return url(unpublished(asset_tree))


def unpublished(root: Path) -> AssetStore:
    """A store whose names come from the files' own times."""
    assets = AssetStore({})
    assets.static("/assets/", root=root, name="assets")
    return assets


def url(assets: AssetStore, file: str = "css/app.css") -> str:
    return assets.url_for("assets", file=file)


def test_servers_with_other_times_give_the_published_names(
    shipped: Path, other_server: Path, published_url: str
) -> None:
    assert url(unpublished(other_server)) != published_url
    assert url(store(other_server, shipped)) == published_url


def test_servers_without_any_files_give_the_published_names(shipped: Path, tmp_path: Path, published_url: str) -> None:
    assert url(store(tmp_path / "nothing here", shipped, must_exist=False)) == published_url


def test_a_changed_file_keeps_its_published_name_until_it_is_published(
    shipped: Path, other_server: Path, published_url: str
) -> None:
    (other_server / "css/app.css").write_text("edited on the server")
    assert url(store(other_server, shipped)) == published_url


@pytest.mark.parametrize("kind", ["path", "text", "file URL", "value"])
def test_a_manifest_is_given_as_a_path_a_url_or_a_value(
    kind: str, shipped: Path, other_server: Path, published_url: str
) -> None:
    given = {"path": shipped, "text": str(shipped), "file URL": f"file://{shipped}", "value": read(shipped)}[kind]
    assert url(store(other_server, given)) == published_url


def test_a_name_that_was_not_published_is_plain_and_warned_of_once(
    shipped: Path, other_server: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (other_server / "late.css").write_text("not published")
    assets = store(other_server, shipped)
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert {url(assets, "late.css") for _ in range(3)} == {"/assets/late.css"}
    assert len([each for each in caplog.records if "late.css" in each.message]) == 1


def test_a_name_that_was_not_published_is_an_error_where_the_store_is_strict(shipped: Path, other_server: Path) -> None:
    with pytest.raises(AssetNotFound, match="late.css"):
        url(store(other_server, shipped, strict=True), "late.css")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "there is no manifest at", id="missing"),
        pytest.param(b"{}", "no assetstore manifest", id="foreign"),
        pytest.param(b'{"kind": "assetstore manifest", "format": 99}', "upgrade assetstore here", id="newer"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said_at_wiring(
    content: bytes | None, says: str, tmp_path: Path, asset_tree: Path
) -> None:
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError, match=says) as caught:
        store(asset_tree, path)
    assert "wrong.json" in str(caught.value)


def test_a_manifest_that_cannot_be_reached_is_said_at_wiring(asset_tree: Path, free_port: Any) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        store(asset_tree, f"http://127.0.0.1:{free_port()}/assets.json")


def client(assets: AssetStore) -> TestClient:
    return TestClient(Starlette(routes=assets.routes))


def test_published_bytes_are_immutable_on_every_server(shipped: Path, other_server: Path) -> None:
    assets = store(other_server, shipped)
    answer = client(assets).get(url(assets))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, IMMUTABLE)


def test_yesterdays_bytes_never_pass_for_todays(shipped: Path, other_server: Path) -> None:
    size = (other_server / "css/app.css").stat().st_size
    (other_server / "css/app.css").write_bytes(b"y" * size)
    assets = store(other_server, shipped)
    answer = client(assets).get(url(assets))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, PLAIN)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: b"x" * len(data)], ids=["half a copy", "other"]
)
def test_what_is_stored_under_a_published_name_has_to_have_its_bytes(
    shipped: Path, tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "bucket", copied)
    entry = read(shipped).entries["css/app.css"]
    stored, plain = copied / entry.fingerprinted_path, copied / "css/app.css"
    name, right = f"/assets/{entry.fingerprinted_path}", stored.read_bytes()
    stored.write_bytes(damage(right))
    answer = client(store(copied, shipped)).get(name)
    assert (answer.content, answer.headers["cache-control"]) == (right, IMMUTABLE), "the plain file has them still"
    plain.write_text("the next release, half copied")
    answer = client(store(copied, shipped)).get(name)
    assert (answer.status_code, answer.headers["cache-control"]) == (502, "no-store")
    assert "does not hold the bytes that were published under that name" in caplog.text
    stored.write_bytes(right)
    answer = client(store(copied, shipped)).get(name)
    assert (answer.content, answer.headers["cache-control"]) == (right, IMMUTABLE)


@pytest.fixture
def bucket_site(asset_tree: Path, moto_bucket: S3Bucket) -> tuple[AssetStore, Manifest, Manifest]:
    """A store that serves from the bucket itself by the live manifest, after two releases."""
    mount = AssetStore({}).static("/assets/", root=asset_tree, name="assets")
    target = open_backend(f"{moto_bucket.url}/site", moto_bucket.server.options)
    assert isinstance(target, WritableBackend)
    first = publish(mount, target).manifest
    (asset_tree / "css/app.css").write_text("second")
    second = publish(mount, target).manifest
    manifest = f"{moto_bucket.url}/site/.assetstore/current.json"
    assets = AssetStore({})
    options = moto_bucket.server.options
    assets.static("/assets/", root=f"{moto_bucket.url}/site", name="assets", storage_options=options, manifest=manifest)
    return assets, first, second


def test_the_bucket_itself_is_served_with_the_current_and_the_retained_versions_immutable(
    bucket_site: tuple[AssetStore, Manifest, Manifest],
) -> None:
    assets, first, second = bucket_site
    with TestClient(Starlette(routes=assets.routes, lifespan=assets.lifespan)) as served:
        for manifest, body in ((first, "one from css/app.css\n"), (second, "second")):
            answer = served.get(f"/assets/{manifest.entries['css/app.css'].fingerprinted_path}")
            assert (answer.status_code, answer.headers["cache-control"], answer.text) == (200, IMMUTABLE, body)
        stray = served.get(f"/assets/css/app-{'0' * 64}.css")
        assert (stray.status_code, stray.headers["cache-control"]) == (200, PLAIN)
        assert served.get("/assets/.assetstore/current.json").status_code == 404
        assert served.get("/assets/no.css").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("fingerprint", [True, "mtime", "content"])
def test_a_name_of_an_earlier_release_is_immutable_while_it_has_the_bytes_that_were_published_under_it(
    asset_tree: Path, tmp_path: Path, fingerprint: Any
) -> None:
    site = AssetStore({})
    site.static("/assets/", root=asset_tree, name="assets", fingerprint=fingerprint)
    names, contents = [], [b"first", b"second", b"third"]
    for content in contents:
        (asset_tree / "css/app.css").write_bytes(content)
        (release,) = site.publish(tmp_path / "published")
        names.append(release.manifest.entries["css/app.css"].fingerprinted_path)
    assert set(release.manifest.retained_digests) == {names[0], names[1]}
    published = store(tmp_path / "published", None)
    with TestClient(Starlette(routes=published.routes)) as served:
        for name, content in zip(names, contents, strict=True):
            response = served.get(f"/assets/{name}")
            assert (response.content, response.headers["cache-control"]) == (content, IMMUTABLE)
        (tmp_path / "published" / names[0]).write_bytes(b"FIRST")
        (tmp_path / "published" / names[1]).write_bytes(b"seco")
        time.sleep(1)
        for name in names[:2]:
            response = served.get(f"/assets/{name}")
            assert (response.status_code, response.headers["cache-control"]) == (502, "no-store")


def test_the_resolver_knows_all_names_and_the_bytes_that_are_stored_under_them(shipped: Path) -> None:
    manifest = read(shipped)
    entry = manifest.entries["css/app.css"]
    old = f"css/app-{'12' * 32}.css"
    resolver = ManifestResolver(Manifest("r", manifest.published_at, None, manifest.entries, frozenset({old})))
    assert {each.path for each in resolver.all()} == set(manifest.entries)
    found = resolver.find("css/app.css")
    assert found is not None
    assert (found.integrity, found.sha256) == (entry.integrity, entry.sha256)
    assert resolver.find("css/app.css") is found
    assert entry.fingerprint is not None
    for stored in entry.stored:
        known = resolver.stored(stored.path)
        assert known is not None
        assert (known.size, known.sha256) == (stored.size, stored.sha256)
        assert known.plain_sha256 == (None if stored.coding is None else entry.sha256)
    assert resolver.stored(old) is None
    assert resolver.stored(f"css/app-{'0' * 64}.css") is None
    assert resolver.find("no.css") is None


def test_bytes_that_were_not_published_get_what_the_mount_makes_of_them(shipped: Path, other_server: Path) -> None:
    backend = open_backend(other_server)
    made_of = PublishedFingerprint(ManifestResolver(read(shipped)), None)
    (other_server / "new.css").write_text("new")
    assert made_of.of(backend.stat("new.css"), backend) is None
    assert made_of.of(backend.stat("robots.txt"), backend) == read(shipped).entries["robots.txt"].fingerprint


def test_a_manifest_on_disk_is_read_again_when_asked(shipped: Path, asset_tree: Path, published_url: str) -> None:
    assets = store(asset_tree, shipped)
    assert url(assets) == published_url
    manifest = read(shipped)
    entries = {path: each for path, each in manifest.entries.items() if path != "css/app.css"}
    shipped.write_bytes(dump(Manifest("next", manifest.published_at, None, entries)))
    assert url(assets) == published_url
    assets.refresh()
    assert url(assets) == "/assets/css/app.css"
    shipped.write_text("half a manif")
    with pytest.raises(ManifestError):
        assets.refresh()
    assert url(assets) == "/assets/css/app.css", "what was known stays"


@pytest.fixture
def followed(moto_bucket: S3Bucket, asset_tree: Path) -> Callable[[float], AssetStore]:
    """A store over a bucket that takes its names from the live release, and looks again after so many seconds."""

    def made(refresh_seconds: float) -> AssetStore:
        options = moto_bucket.server.options
        where = f"{moto_bucket.url}/pre/.assetstore/current.json"
        index = Index(refresh_seconds=refresh_seconds)
        return store(f"{moto_bucket.url}/pre", where, storage_options=options, index=index)

    unpublished(asset_tree).publish(f"{moto_bucket.url}/pre", storage_options=moto_bucket.server.options)
    return made


def test_a_release_of_another_process_is_known_soon_and_costs_one_look_until_then(
    followed: Callable[[float], AssetStore], moto_bucket: S3Bucket, asset_tree: Path
) -> None:
    assets = followed(0.05)
    before = url(assets)
    assert before == url(unpublished(asset_tree))
    (asset_tree / "css/app.css").write_text("released by another process")
    unpublished(asset_tree).publish(f"{moto_bucket.url}/pre", storage_options=moto_bucket.server.options)
    until = time.monotonic() + 20
    while url(assets) == before and time.monotonic() < until:
        time.sleep(0.01)
    assert url(assets) == url(unpublished(asset_tree)) != before


def test_asking_makes_a_release_known_at_once(
    followed: Callable[[float], AssetStore], moto_bucket: S3Bucket, asset_tree: Path
) -> None:
    assets = followed(3600)
    before = url(assets)
    (asset_tree / "css/app.css").write_text("released by another process")
    unpublished(asset_tree).publish(f"{moto_bucket.url}/pre", storage_options=moto_bucket.server.options)
    assert url(assets) == before
    assets.refresh()
    assert url(assets) == url(unpublished(asset_tree)) != before


def test_a_manifest_that_did_not_change_is_not_read_again(moto_bucket: S3Bucket, shipped: Path) -> None:
    class Counting(ManifestFile):
        reads = 0

        def read(self) -> tuple[Manifest, FileStat]:
            self.reads += 1
            return super().read()

    moto_bucket.put({"assets.json": shipped.read_bytes()})
    file = Counting(f"{moto_bucket.url}/assets.json", moto_bucket.server.options)
    resolver = WatchedResolver(file, 3600)
    for _ in range(3):
        resolver.refresh()
    assert file.reads == 1
    moto_bucket.put({"assets.json": shipped.read_bytes() + b"\n"})
    resolver.refresh()
    assert file.reads == 2
    resolver.start()
    assert resolver.knows("anything")
    assert resolver.find("css/app.css") is not None
    assert resolver.contact is not None
    resolver.close()
    assert len(list(resolver.all())) == len(resolver.manifest.entries)
