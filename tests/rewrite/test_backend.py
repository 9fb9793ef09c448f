"""One and the same rewritten style sheet for ``url_for``, for serving and for publishing."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import threading
import time
from pathlib import Path

import fsspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends.base import WHOLE, Backend, FileStat, Span, read_bytes
from assetstore.backends.fsspec.backend import open_url
from assetstore.backends.local.backend import LocalBackend, LocalFile
from assetstore.backends.reader import reader_of
from assetstore.errors import AssetNotFound, BrokenReference, SettingsError, VersionChanged
from assetstore.names.base import STAT_SECONDS
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint, add, split
from assetstore.rewrite import graph
from assetstore.rewrite.backend import MAX_BYTES, RECHECK_SECONDS, RewrittenBackend

FILES = {
    "css/app.css": "@import 'base.css';\n.a { background: url(../img/a.png) }",
    "css/base.css": "@font-face { src: url('../fonts/f.woff2') }",
    "img/a.png": "a",
    "fonts/f.woff2": "f",
    "js/app.js": "import './url(a.png)'",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.fixture
def backend(root: Path) -> RewrittenBackend:
    return RewrittenBackend(LocalBackend(root), ContentFingerprint())


def save(file: Path, text: str) -> None:
    file.write_text(text)
    later = time.time_ns() + 5_000_000_000
    os.utime(file, ns=(later, later))


def changed(backend: Backend, path: str, wanted: str) -> None:
    """Wait until *path*'s fingerprint is no longer *wanted*."""
    deadline = time.monotonic() + 10
    while backend.stat(path).fingerprint == wanted:
        assert time.monotonic() < deadline, f"{path} is still {wanted}"
        time.sleep(0.02)


def test_it_is_a_backend(backend: RewrittenBackend) -> None:
    assert isinstance(backend, Backend)


def test_what_is_opened_is_what_stat_describes(backend: RewrittenBackend) -> None:
    stat = backend.stat("css/app.css")
    opened = backend.open("css/app.css", validator=stat.validator)
    data = b"".join(opened.chunks(0, stat.size))
    assert opened.stat == stat
    assert len(data) == stat.size
    assert b"../img/a-" in data
    assert b"base-" in data
    assert b"".join(opened.chunks(3, 9)) == data[3:9]


def test_another_version_is_not_opened(backend: RewrittenBackend) -> None:
    with pytest.raises(VersionChanged):
        backend.open("css/app.css", validator="0" * 64)


def test_listing_and_asking_agree(backend: RewrittenBackend) -> None:
    listed = {stat.path: stat for stat in backend.walk()}
    assert set(listed) == set(FILES)
    assert all(backend.stat(path) == stat for path, stat in listed.items())


def test_every_reference_leads_to_a_name_that_url_for_gives(root: Path) -> None:
    assets = AssetStore()
    mount = assets.static("/assets/", root=root, name="assets", references="rewrite")
    data = read_bytes(mount.backend, "css/base.css").decode()
    assert assets.url_for("assets", file="fonts/f.woff2").removeprefix("/assets/") in data
    sheet = assets.url_for("assets", file="css/base.css").rpartition("/")[2]
    assert sheet in read_bytes(mount.backend, "css/app.css").decode()


def test_scripts_keep_their_bytes(backend: RewrittenBackend) -> None:
    assert read_bytes(backend, "js/app.js").decode() == FILES["js/app.js"]


def test_a_saved_image_renames_the_sheets_within_a_second(root: Path) -> None:
    assert RECHECK_SECONDS + STAT_SECONDS < 1
    backend = RewrittenBackend(LocalBackend(root), MtimeFingerprint())
    before, base = backend.stat("css/app.css"), backend.stat("css/base.css")
    assert before.fingerprint is not None
    save(root / "img/a.png", "other")
    changed(backend, "css/app.css", before.fingerprint)
    after = backend.stat("css/app.css")
    assert after.validator != before.validator
    assert after.mtime_ns is not None
    assert before.mtime_ns is not None
    assert after.mtime_ns > before.mtime_ns
    assert backend.stat("css/base.css") == base


def test_a_missing_file_that_appears_is_named(root: Path, backend: RewrittenBackend) -> None:
    (root / "img/a.png").unlink()
    before = backend.stat("css/app.css")
    assert b"url(../img/a.png)" in read_bytes(backend, "css/app.css")
    assert before.fingerprint is not None
    save(root / "img/a.png", "back")
    changed(backend, "css/app.css", before.fingerprint)
    assert b"url(../img/a-" in read_bytes(backend, "css/app.css")


def test_a_sheet_that_is_deleted_is_missing(root: Path, backend: RewrittenBackend) -> None:
    backend.stat("css/base.css")
    (root / "css/base.css").unlink()
    time.sleep(RECHECK_SECONDS + 0.02)
    with pytest.raises(AssetNotFound):
        backend.stat("css/base.css")


def test_stored_variants_of_sheets_are_not_served(root: Path, backend: RewrittenBackend) -> None:
    (root / "css/app.css.gz").write_text("stale")
    (root / "js/app.js.gz").write_text("fine")
    (root / "css/alone.css.gz").write_text("fine")
    with pytest.raises(AssetNotFound):
        backend.stat("css/app.css.gz")
    with pytest.raises(AssetNotFound):
        backend.open("css/app.css.gz")
    assert {stat.path for stat in backend.walk()} == {*FILES, "js/app.js.gz", "css/alone.css.gz"}
    assert read_bytes(backend, "css/alone.css.gz") == b"fine"


def test_a_retained_version_is_given_as_it_is(root: Path, backend: RewrittenBackend) -> None:
    path = add("css/app.css", "0" * 64)
    (root / path).write_text("a { b: url(../img/a.png) }")
    assert read_bytes(backend, path) == b"a { b: url(../img/a.png) }"


def test_a_sheet_above_the_limit_passes_through(root: Path, backend: RewrittenBackend) -> None:
    text = "a{b:url(../img/a.png)}".ljust(MAX_BYTES + 1)
    (root / "css/huge.css").write_text(text)
    assert read_bytes(backend, "css/huge.css").decode() == text
    assert backend.stat("css/huge.css").fingerprint is None


def test_a_missing_reference_is_said_once(
    root: Path, backend: RewrittenBackend, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "img/a.png").unlink()
    with caplog.at_level(logging.WARNING, "assetstore"):
        backend.stat("css/app.css")
        save(root / "css/app.css", FILES["css/app.css"] + " ")
        time.sleep(0.12)
        backend.stat("css/app.css")
    (said,) = [said for said in caplog.messages if str(root) in said]
    assert "css/app.css:2:18: url of '../img/a.png' means 'img/a.png', which is not there" in said


def test_strict_refuses_a_missing_reference(root: Path) -> None:
    (root / "img/a.png").unlink()
    strict = RewrittenBackend(LocalBackend(root), ContentFingerprint(), strict=True)
    with pytest.raises(BrokenReference, match=r"css/app\.css:2:18"):
        strict.stat("css/app.css")
    with pytest.raises(BrokenReference):
        list(strict.walk())


def test_any_filesystem_can_be_rewritten() -> None:
    inner = open_url("memory://rewritten", {})
    for path, text in FILES.items():
        fsspec.filesystem("memory").pipe_file(f"/rewritten/{path}", text.encode())
    backend = RewrittenBackend(inner, ContentFingerprint())
    assert b"../img/a-" in read_bytes(backend, "css/app.css")


def test_serving_reads_the_rewritten_bytes(backend: RewrittenBackend) -> None:
    async def read(path: str) -> bytes:
        reader = reader_of(backend)
        opened = await reader.open(path)
        assert opened.stat == await reader.stat(path)
        data = b"".join([chunk async for chunk in opened.chunks(0, opened.stat.size)])
        await opened.aclose()
        await reader.aclose()
        return data

    assert asyncio.run(read("css/app.css")) == read_bytes(backend, "css/app.css")
    assert asyncio.run(read("js/app.js")).decode() == FILES["js/app.js"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"references": "rewritten"}, "give 'rewrite'"),
        ({"references": True}, "give 'rewrite'"),
        ({"references": "rewrite", "fingerprint": False}, "fingerprint=False makes none"),
    ],
)
def test_a_wrong_choice_is_found_at_wiring(root: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        AssetStore().static("/assets/", root=root, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("package", "folder", "faults"),
    [
        ("django", "contrib/admin/static", 0),
        # Its style sheet names a source map that the package leaves out.
        ("swagger_ui", "static", 1),
    ],
)
def test_style_sheets_of_real_packages_are_rewritten(
    package: str, folder: str, faults: int, caplog: pytest.LogCaptureFixture
) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is in the dev extra"
    assert spec.origin is not None
    inner = LocalBackend(Path(spec.origin).parent / folder)
    backend = RewrittenBackend(inner, ContentFingerprint())
    with caplog.at_level(logging.WARNING, "assetstore"):
        stats = {stat.path: stat for stat in backend.walk()}
    assert len([said for said in caplog.messages if inner.label in said]) == faults
    for path in filter(graph.is_referrer, stats):
        source = graph.Source.read(stats[path], read_bytes(backend, path))
        for _, meant in source.targets():
            assert meant is not None
            logical, fingerprint = split(meant.path)
            assert meant.path.endswith(".map") or fingerprint == (
                stats[logical].fingerprint or ContentFingerprint().of(stats[logical], inner)
            )


def test_publishing_stores_what_serving_gives(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assets = AssetStore()
    mount = assets.static("/assets/", root=root, name="assets", fingerprint="content", references="rewrite")
    bucket = tmp_path_factory.mktemp("bucket")
    [published] = assets.publish(bucket)
    for path in FILES:
        name = assets.url_for("assets", file=path).removeprefix("/assets/")
        assert published.manifest.entries[path].fingerprinted_path == name
        assert (bucket / name).read_bytes() == (bucket / path).read_bytes() == read_bytes(mount.backend, path)
    for path in ("css/app.css", "css/base.css"):
        found = graph.Source.read(mount.backend.stat(path), (bucket / path).read_bytes())
        assert all(meant is not None and (bucket / meant.path).is_file() for _, meant in found.targets())


def test_a_changed_image_publishes_the_sheet_anew(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets", fingerprint="content", references="rewrite")
    bucket = tmp_path_factory.mktemp("bucket")
    [first] = assets.publish(bucket)
    save(root / "img/a.png", "other")
    time.sleep(0.5)
    [second] = assets.publish(bucket)
    changed = {path for path in FILES if first.manifest.entries[path] != second.manifest.entries[path]}
    assert changed == {"img/a.png", "css/app.css"}


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_the_bytes_under_a_fingerprinted_url_are_immutable_and_rewritten(root: Path, coding: str) -> None:
    (root / "css/app.css").write_text(FILES["css/app.css"] + "/* filler */" * 400)
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets", references="rewrite")
    client = TestClient(Starlette(routes=assets.routes))
    url = assets.url_for("assets", file="css/app.css")
    answer = client.get(url, headers={"accept-encoding": coding})
    assert answer.headers["cache-control"] == "max-age=31536000, public, immutable"
    assert answer.headers.get("content-encoding", "identity") == coding
    assert "url(../img/a-" in answer.text
    assert (
        client.get(url, headers={"if-none-match": answer.headers["etag"], "accept-encoding": coding}).status_code == 304
    )
    part = client.get(url, headers={"range": "bytes=9-17", "accept-encoding": "identity"})
    assert (part.status_code, part.text) == (206, answer.text[9:18])
    head = client.head(url, headers={"accept-encoding": coding})
    assert head.headers["etag"] == answer.headers["etag"]


def test_an_old_url_after_the_image_changed_is_not_immutable(root: Path) -> None:
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets", references="rewrite")
    client = TestClient(Starlette(routes=assets.routes))
    old = assets.url_for("assets", file="css/app.css")
    save(root / "img/a.png", "other")
    time.sleep(0.95)
    assert assets.url_for("assets", file="css/app.css") != old
    assert "immutable" not in client.get(old).headers["cache-control"]


def test_a_rewritten_sheet_is_never_handed_to_the_proxy_as_a_file(root: Path) -> None:
    assets = AssetStore(STATIC_X_SENDFILE_HEADER="X-Accel-Redirect")
    assets.static("/assets/", root=root, name="assets", references="rewrite")
    client = TestClient(Starlette(routes=assets.routes))
    sheet = client.get(assets.url_for("assets", file="css/app.css"))
    assert "x-accel-redirect" not in sheet.headers
    assert "url(../img/a-" in sheet.text
    assert "x-accel-redirect" in client.get(assets.url_for("assets", file="img/a.png")).headers


def test_a_new_listing_counts_at_once(root: Path, backend: RewrittenBackend) -> None:
    before = {stat.path: stat.fingerprint for stat in backend.walk()}
    save(root / "fonts/f.woff2", "other")
    after = {stat.path: stat.fingerprint for stat in backend.walk()}
    assert {path for path in FILES if path.endswith(".css") and before[path] != after[path]} == {
        "css/app.css",
        "css/base.css",
    }


def test_what_is_prepared_is_not_read_again(
    root: Path, backend: RewrittenBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.prepare()
    monkeypatch.setattr(backend.inner, "open", None)
    assert b"../img/a-" in read_bytes(backend, "css/app.css")


def test_a_broken_style_sheet_tells_a_client_nothing(root: Path) -> None:
    (root / "img/a.png").unlink()
    assets = AssetStore()
    assets.static("/assets/", root=root, name="assets", references="strict")
    with TestClient(Starlette(routes=assets.routes)) as client:
        answer = client.get("/assets/css/app.css")
        assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (502, "Bad Gateway", "no-store")
        assert client.get("/assets/css/base.css").status_code == 200


class Watched(LocalBackend):
    """Notes in which thread each file is opened."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.threads: set[threading.Thread] = set()

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> LocalFile:
        self.threads.add(threading.current_thread())
        return super().open(path, span, validator=validator)


def test_an_event_loop_does_not_wait_for_a_large_style_sheet(root: Path) -> None:
    (root / "css/app.css").write_text(FILES["css/app.css"] + "a { b: c }\n" * 5_000)
    inner = Watched(root)
    backend = RewrittenBackend(inner, MtimeFingerprint())

    async def stat() -> FileStat:
        return backend.stat("css/app.css")

    def other_than(known: FileStat) -> FileStat:
        deadline = time.monotonic() + 20
        while (found := asyncio.run(stat())) == known:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found

    plain = asyncio.run(stat())
    assert plain == inner.stat("css/app.css")
    before = other_than(plain)
    assert before.fingerprint is not None
    save(root / "img/a.png", "other")
    time.sleep(RECHECK_SECONDS + 0.02)
    assert asyncio.run(stat()) == before
    after = other_than(before)
    assert inner.threads
    assert threading.current_thread() not in inner.threads
    assert after == backend.stat("css/app.css")


def test_an_event_loop_has_small_style_sheets_at_once(backend: RewrittenBackend) -> None:
    async def stat() -> FileStat:
        return backend.stat("css/app.css")

    assert asyncio.run(stat()).fingerprint == backend.stat("css/app.css").fingerprint is not None
