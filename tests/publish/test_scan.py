"""What a scan tells of a mount's files, and which names they get."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import PublishError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Entry, Manifest
from assetstore.publish.layout import Layout
from assetstore.publish.pool import WorkerPool
from assetstore.publish.scan import scan, sources


def entries(mount: Mount, previous: Manifest | None = None) -> dict[str, Entry]:
    return {each.path: each for each in scan(mount, Layout.of(mount), previous, WorkerPool(4))}


def manifest(found: dict[str, Entry]) -> Manifest:
    return Manifest("r1", datetime(2026, 1, 2, tzinfo=UTC), None, found)


def test_every_fact_is_of_the_bytes(mount: Mount, asset_tree: Path) -> None:
    found = entries(mount)["css/app.css"]
    data = (asset_tree / "css/app.css").read_bytes()
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found.integrity == f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode()}"
    assert found.content_type == "text/css; charset=utf-8"
    assert found.mtime_ns == (asset_tree / "css/app.css").stat().st_mtime_ns


def test_by_time_the_same_bytes_keep_their_published_name(
    make_mount: Callable[..., Mount], asset_tree: Path, age: Callable[[Path, float], None]
) -> None:
    before = entries(make_mount())
    age(asset_tree / "css/app.css", 60)
    assert entries(make_mount())["css/app.css"].fingerprint != before["css/app.css"].fingerprint
    assert entries(make_mount(), manifest(before)) == before


def test_by_time_other_bytes_get_another_name(
    make_mount: Callable[..., Mount], asset_tree: Path, age: Callable[[Path, float], None]
) -> None:
    before = entries(make_mount())
    (asset_tree / "css/app.css").write_text("other")
    age(asset_tree / "css/app.css", 60)
    after = entries(make_mount(), manifest(before))
    assert after["css/app.css"].fingerprint != before["css/app.css"].fingerprint
    assert after["robots.txt"] == before["robots.txt"]


def test_by_content_the_name_is_the_contents_own(make_mount: Callable[..., Mount], asset_tree: Path) -> None:
    mount = make_mount(fingerprint="content")
    before = entries(mount)
    stray = {"css/app.css": replace(before["css/app.css"], fingerprint="0" * 64)}
    found = entries(mount, manifest(stray))["css/app.css"]
    assert found.fingerprint == found.sha256


def test_a_file_that_disappears_meanwhile_stops_the_survey(
    make_mount: Callable[..., Mount], asset_tree: Path, watch: Any
) -> None:
    mount = make_mount()
    backend = watch(mount.backend)
    stats = list(backend.walk())
    backend.walk = lambda: iter(stats)
    (asset_tree / "robots.txt").unlink()
    with pytest.raises(PublishError, match="'robots.txt' is gone"):
        entries(replace(mount, backend=backend))


def test_an_encoded_sibling_is_no_asset_of_its_own(
    make_mount: Callable[..., Mount], asset_tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (asset_tree / "css/app.css.br").write_bytes(b"stale")
    (asset_tree / "js/alone.js.br").write_bytes(b"no original beside it")
    mount = make_mount()
    found = set(sources(mount, mount.backend, lambda stat: stat))
    assert ("css/app.css.br" in found, "js/alone.js.br" in found) == (False, True)
    assert "as encoded siblings of other files: 'css/app.css.br'; publish makes its own" in caplog.text


def test_modules_that_did_not_change_are_no_new_release(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.js").write_text("x;\n  import './b.js'")
    (tmp_path / "root/b.js").write_text("1")
    released = []
    for _ in range(2):
        assets = AssetStore()
        assets.static("/assets/", root=tmp_path / "root", name="assets", fingerprint="content")
        [published] = assets.publish(tmp_path / "out")
        released.append(published.released)
    assert released == [True, False]
