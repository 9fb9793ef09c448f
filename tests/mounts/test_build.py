"""How a mount is wired: every argument is checked, every decision is taken once, and nothing crosses a network for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.backends.base import FileStat
from assetstore.backends.local.reader import LocalReader
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.reader import CachedReader
from assetstore.errors import SettingsError
from assetstore.mounts.mount import Mount
from assetstore.mounts.urls import NO_HOST
from assetstore.names import fingerprint as fingerprints
from assetstore.names.base import LocalResolver
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint
from assetstore.names.listing import Index, IndexResolver, LazyResolver
from assetstore.names.manifest import Manifest
from assetstore.names.published import ManifestResolver, PublishedFingerprint, ReleaseResolver
from remote_files import RemoteFiles

S3 = {"anon": True, "region": "eu-west-1"}


def wired(root: Any, url: str = "/assets/", **options: Any) -> Mount:
    return AssetStore().static(url, root=root, **options)


class TestChecks:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"url": "ftp://x/"}, "ftp://x/"),
            ({"name": ""}, "name='' is no mount name; give a word without ':'"),
            ({"name": "a:b"}, "name='a:b' is no mount name"),
            ({"name": 3}, "name=3 is no mount name"),
            ({"public": "yes"}, "public='yes' is neither True nor False"),
            ({"fingerprint": "md5"}, "fingerprint='md5' is not known; give True"),
            ({"host": "a b"}, "host='a b'"),
            ({"defaults": {"path": "index.html"}}, "a good one is {'file': 'index.html'}"),
            ({"defaults": {"file": "../index.html"}}, "a good one is {'file': 'index.html'}"),
            ({"allowed_ext": "css"}, "allowed_ext='css' is no list"),
            ({"headers": {"*.svg": {"Content-Length": "3"}}}, "Content-Length"),
            ({"shared_cache": "sometimes"}, "sometimes"),
            ({"compress_bytes": -1}, "compress_bytes=-1 is no number of bytes"),
            ({"compress_bytes": True}, "compress_bytes=True is no number of bytes"),
            ({"compress_bytes": 1.5}, "compress_bytes=1.5 is no number of bytes"),
            ({"root": "no/such/folder"}, "root 'no/such/folder' does not exist"),
            ({"origin_path": "/a b/", "url": "https://cdn.example.com/"}, "origin_path='/a b/'"),
            ({"index": "alphabetical"}, "index='alphabetical' is not known"),
            ({"asset_host": "https://a.example", "url": "https://cdn.example.com/"}, "give url a path"),
            ({"storage_options": {"regin_name": "eu-west-1"}}, "'regin_name'; did you mean 'region_name'"),
            ({"fingerprnt": True}, "'fingerprnt'; did you mean 'fingerprint'"),
            ({"root": []}, "give at least one"),
            ({"root": "nosuchpackage:static"}, "there is no package 'nosuchpackage'"),
            ({"root": "assetstore:nosuchfolder"}, "has no folder 'nosuchfolder'"),
            ({"defaults": "index.html"}, "a good one is {'file': 'index.html'}"),
        ],
        ids=str,
    )
    def test_a_malformed_argument_is_named_with_what_is_wrong(
        self, asset_tree: Path, arguments: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SettingsError, match=said.replace("{", r"\{").replace("}", r"\}")):
            wired(**{"root": asset_tree, **arguments})

    def test_what_a_bucket_needs_is_idle_on_a_directory(self, asset_tree: Path) -> None:
        options = {"storage_options": {"region_name": "eu-west-1"}, "cache": CacheSettings(), "limits": RemoteLimits()}
        mount = wired(asset_tree, index=Index(wait_seconds=5), **options)
        assert mount.remote is None
        assert mount.resolver.find("css/app.css") is not None

    def test_a_tree_that_is_built_later_may_be_missing_now(self, tmp_path: Path) -> None:
        store = AssetStore()
        store.static("/assets/", root=tmp_path / "later", name="assets", must_exist=False)
        assert store.url_for("assets", file="app.css") == "/assets/app.css"
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "new.css").write_text("new")
        assert store.url_for("assets", file="new.css").startswith("/assets/new-")


class PublishedFiles(RemoteFiles):
    """As a publish stores them: each with the fingerprint that is in its name."""

    def facts(self, path: str) -> FileStat:
        return replace(super().facts(path), published_fingerprint=fingerprints.split(path)[1])


class TestDecisions:
    def test_a_directory_is_looked_at_and_read_without_a_cache(self, asset_tree: Path) -> None:
        mount = wired(asset_tree)
        assert isinstance(mount.resolver, LocalResolver)
        assert isinstance(mount.reader, LocalReader)
        assert mount.remote is None
        assert mount.hosts is NO_HOST

    @pytest.mark.parametrize(("index", "kind"), [("listing", IndexResolver), ("lazy", LazyResolver)])
    def test_a_far_storage_is_indexed_and_guarded_and_cached(self, index: str, kind: type) -> None:
        remote = RemoteFiles(a=b"one")
        mount = wired(remote, index=index)
        assert isinstance(mount.resolver, ReleaseResolver)
        assert isinstance(mount.resolver.otherwise, kind)
        assert isinstance(mount.reader, CachedReader)
        assert mount.remote is not None
        assert mount.reader is mount.remote.reader
        assert (remote.listings, remote.stats) == (0, 0)

    def test_a_manifest_comes_before_either(self, asset_tree: Path) -> None:
        mount = wired(asset_tree, manifest=Manifest("1", datetime.now(UTC), "assets", {}))
        assert isinstance(mount.resolver, ManifestResolver)
        assert isinstance(mount.fingerprinter, PublishedFingerprint)

    @pytest.mark.parametrize(
        ("choice", "kind"),
        [(True, MtimeFingerprint), ("mtime", MtimeFingerprint), ("content", ContentFingerprint), (False, type(None))],
    )
    def test_a_fingerprint_is_made_of_what_was_chosen(self, asset_tree: Path, choice: Any, kind: type) -> None:
        assert isinstance(wired(asset_tree, fingerprint=choice).fingerprinter, kind)

    def test_a_bucket_s_sockets_keep_to_the_mount_s_limits(self) -> None:
        limits = RemoteLimits(connect_seconds=0.5, read_seconds=1.5)
        backend: Any = wired("s3://bucket", storage_options=S3, limits=limits).backend
        assert (backend.options.connect_timeout_seconds, backend.options.read_timeout_seconds) == (0.5, 1.5)

    def test_but_what_the_user_said_of_them_counts(self) -> None:
        options = {**S3, "read_timeout_seconds": 9.0}
        limits = RemoteLimits(connect_seconds=0.5, read_seconds=1.5)
        backend: Any = wired("s3://bucket", storage_options=options, limits=limits).backend
        assert (backend.options.connect_timeout_seconds, backend.options.read_timeout_seconds) == (0.5, 9.0)

    async def asked_twice(self, remote: RemoteFiles, path: str) -> int:
        mount = wired(remote, cache=CacheSettings(ttl_seconds=0), index="lazy")
        for _ in range(2):
            await mount.reader.stat(path)
        await mount.reader.aclose()
        return remote.stats

    @pytest.mark.anyio
    async def test_what_is_named_by_its_fingerprint_is_one_version_for_ever(self) -> None:
        assert await self.asked_twice(RemoteFiles(**{"app.css": b"x"}), "app.css") == 2
        name = f"app-{'0' * 64}.css"
        assert await self.asked_twice(RemoteFiles(**{name: b"x"}), name) == 2, "nothing says that these are its bytes"
        assert await self.asked_twice(PublishedFiles(**{name: b"x"}), name) == 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
