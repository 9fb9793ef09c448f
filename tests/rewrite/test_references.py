"""Every reference of a file that is served leads to a fingerprinted name, and what is missing is said once."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends.base import WHOLE, Span, read_bytes
from assetstore.backends.local.backend import LocalBackend, LocalFile
from assetstore.errors import AssetNotFound, BrokenReference
from assetstore.names.fingerprint import ContentFingerprint, MtimeFingerprint
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.rewrite.graph import MAX_BYTES
from waiting import eventually


class Counting(LocalBackend):
    """Counts what is opened."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened: Counter[str] = Counter()

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> LocalFile:
        self.opened[path] += 1
        return super().open(path, span, validator=validator)


@pytest.fixture
def backend(tmp_path: Path) -> Counting:
    (tmp_path / "a.css").write_text("@import 'b.css'; a{b:url(gone.png)}")
    (tmp_path / "b.css").write_text("c{d:url(dot.svg)}")
    (tmp_path / "dot.svg").write_text("dot")
    return Counting(tmp_path)


def test_a_file_is_read_once_for_each_version(backend: Counting, tmp_path: Path) -> None:
    rewriting = RewrittenBackend(backend, MtimeFingerprint())
    for _ in range(3):
        list(rewriting.walk())
    assert (backend.opened["a.css"], backend.opened["b.css"], backend.opened["dot.svg"]) == (1, 1, 1)
    (tmp_path / "b.css").write_text("c{d:url(dot.svg)} longer")
    list(rewriting.walk())
    assert (backend.opened["a.css"], backend.opened["b.css"], backend.opened["dot.svg"]) == (1, 2, 1)


def test_a_fault_is_logged_once_or_refused(backend: Counting, caplog: pytest.LogCaptureFixture) -> None:
    rewriting = RewrittenBackend(backend, ContentFingerprint())
    with caplog.at_level(logging.WARNING, "assetstore"):
        for _ in range(3):
            list(rewriting.walk())
    (said,) = [said for said in caplog.messages if backend.label in said]
    assert "a.css:1:22: url of 'gone.png' means 'gone.png', which is not there" in said
    with pytest.raises(BrokenReference, match="1:22"):
        RewrittenBackend(backend, ContentFingerprint(), strict=True).stat("a.css")


def test_a_missing_source_map_is_logged_and_never_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.css").write_text("a{}\n/*# sourceMappingURL=a.css.map */")
    strict = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint(), strict=True)
    with caplog.at_level(logging.WARNING, "assetstore"):
        assert read_bytes(strict, "a.css") == b"a{}\n/*# sourceMappingURL=a.css.map */"
    assert "source-map of 'a.css.map' means 'a.css.map', which is not there" in caplog.text
    (tmp_path / "a.css.map").write_text("{}")
    fresh = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint(), strict=True)
    assert b"sourceMappingURL=a.css-" in read_bytes(fresh, "a.css")


def test_a_file_that_is_too_large_to_be_read_is_named_once_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.css").write_bytes(b"a{b:url(gone.png)}".ljust(MAX_BYTES + 1))
    rewriting = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint())
    with caplog.at_level(logging.WARNING, "assetstore"):
        for _ in range(2):
            list(rewriting.walk())
    (said,) = caplog.messages
    assert f"a.css: {MAX_BYTES + 1} bytes are too many to be read for references" in said
    with pytest.raises(BrokenReference, match="too many to be read"):
        RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint(), strict=True).stat("a.css")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("/assets/img/dot.svg?v=1#x", r"/assets/img/dot-[0-9a-f]{64}\.svg\?v=1#x"),
        ("https://cdn.example.com/a/img/dot.svg", r"https://cdn\.example\.com/a/img/dot-[0-9a-f]{64}\.svg"),
        ("https://other.example.com/a/img/dot.svg", r"https://other\.example\.com/a/img/dot\.svg"),
        ("/other/img/dot.svg", "/other/img/dot\\.svg"),
        ("//assets/img/dot.svg", "//assets/img/dot\\.svg"),
    ],
)
def test_the_urls_of_the_mount_itself_are_rewritten(tmp_path: Path, written: str, expected: str) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img/dot.svg").write_text("dot")
    (tmp_path / "a.css").write_text(f"a{{b:url({written})}}")
    assets = AssetStore()
    mount = assets.static("https://cdn.example.com/a/", root=tmp_path, name="assets", references="strict")
    assert re.fullmatch(rf"a\{{b:url\({expected}\)\}}", read_bytes(mount.backend, "a.css").decode())


def test_the_url_of_the_mount_with_nothing_behind_it_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{b:url(/assets/gone.png)}")
    mount = AssetStore().static("/assets/", root=tmp_path, name="assets", references="strict")
    with pytest.raises(BrokenReference, match=r"url of '/assets/gone\.png' means 'gone\.png', which is not there"):
        mount.backend.stat("a.css")


def test_what_allowed_ext_leaves_out_is_as_good_as_missing(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face{src:url(f.woff2)}")
    (tmp_path / "f.woff2").write_text("font")
    mount = AssetStore().static(
        "/assets/", root=tmp_path, name="assets", references="strict", allowed_ext=[".css", ".js"]
    )
    with pytest.raises(
        BrokenReference, match=r"means 'f\.woff2', which allowed_ext= or the names of secrets keep from being served"
    ):
        mount.backend.stat("a.css")


def test_a_reference_to_what_looks_like_a_secret_is_as_good_as_missing(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<img src=key.pem>")
    (tmp_path / "key.pem").write_text("secret")
    mount = AssetStore().static("/assets/", root=tmp_path, name="assets", references="strict")
    with pytest.raises(BrokenReference, match=r"means 'key\.pem', which allowed_ext= or the names of secrets"):
        mount.backend.stat("a.html")


PAGE = """<!doctype html><link rel=stylesheet href=css/a.css?v=1&amp;x><link rel=canonical href=index.html>
<script type="importmap">{"imports":{"app":"./js/app.js"}}</script>
<style>b{c:url("dot.svg")}</style><img src="/assets/dot.svg" srcset="dot.svg 1x, dot.svg 2x" style="d:url(dot.svg)">
<a href="dot.svg">a link</a><video poster='dot.svg'></video><!-- <img src=dot.svg> -->"""


def test_pages_svgs_and_web_manifests_are_rewritten(tmp_path: Path) -> None:
    files = {
        "index.html": PAGE,
        "css/a.css": "@import 'b.css';",
        "css/b.css": "",
        "js/app.js": "",
        "dot.svg": "<svg><image href='img.png'/><use href='#x'/></svg>",
        "img.png": "png",
        "plain.svg": "<svg><circle/></svg>",
        "site.webmanifest": '{"icons":[{"src":"img.png"}],"start_url":"index.html"}',
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assets = AssetStore()
    mount = assets.static("/assets/", root=tmp_path, name="assets", fingerprint="content", references="strict")

    def text(path: str) -> str:
        return read_bytes(mount.backend, path).decode()

    def name(path: str) -> str:
        return assets.url_for("assets", file=path).removeprefix("/assets/")

    dot, sheet = name("dot.svg"), name("css/a.css")
    assert text("index.html") == (
        PAGE.replace("css/a.css", sheet)
        .replace("./js/app.js", name("js/app.js"))
        .replace('c:url("dot.svg', f'c:url("{dot}')
        .replace('src="/assets/dot.svg', f'src="/assets/{dot}')
        .replace("dot.svg 1x, dot.svg 2x", f"{dot} 1x, {dot} 2x")
        .replace("d:url(dot.svg", f"d:url({dot}")
        .replace("poster='dot.svg", f"poster='{dot}")
    )
    assert text("dot.svg") == files["dot.svg"].replace("img.png", name("img.png"))
    assert text("site.webmanifest") == files["site.webmanifest"].replace("img.png", name("img.png"))
    assert text("plain.svg") == files["plain.svg"]
    assert mount.backend.stat("plain.svg") == LocalBackend(tmp_path).stat("plain.svg")


def test_a_page_takes_another_name_when_what_it_reaches_changes(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<img src=dot.svg>")
    (tmp_path / "dot.svg").write_text("<svg><image href=a.png></svg>")
    (tmp_path / "a.png").write_text("one")
    rewriting = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint())
    before = {stat.path: stat.fingerprint for stat in rewriting.walk()}
    (tmp_path / "a.png").write_text("another")
    after = {stat.path: stat.fingerprint for stat in rewriting.walk()}
    assert before["index.html"] != after["index.html"]
    assert before["dot.svg"] != after["dot.svg"]


def test_a_variant_of_a_file_that_is_not_rewritten_is_served(tmp_path: Path) -> None:
    (tmp_path / "plain.svg").write_text("<svg/>")
    (tmp_path / "drawn.svg").write_text("<svg><image href=plain.svg></svg>")
    for name in ("plain.svg.gz", "drawn.svg.gz"):
        (tmp_path / name).write_text("coded")
    rewriting = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint())
    assert {stat.path for stat in rewriting.walk()} == {"plain.svg", "plain.svg.gz", "drawn.svg"}
    assert read_bytes(rewriting, "plain.svg.gz") == b"coded"
    with pytest.raises(AssetNotFound):
        rewriting.stat("drawn.svg.gz")


def test_many_small_files_hold_an_event_loop_for_no_long(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.css").write_text(f"a{{b:url({number}.png)}}" + "c{d:e}" * 1_000)
        (tmp_path / f"{number}.png").write_bytes(b"p" * 50_000)
    rewriting = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint())

    async def page() -> list[str | None]:
        return [rewriting.stat(f"{number}.css").fingerprint for number in range(300)]

    at_once = [fingerprint for fingerprint in asyncio.run(page()) if fingerprint is not None]
    assert len(at_once) < 100, "what takes longer than 5 ms is left to the background"
    assert eventually(lambda: None not in asyncio.run(page()))


def test_pages_and_names_that_a_bundler_hashed_keep_their_names(tmp_path: Path) -> None:
    files = {
        "index.html": "<link rel=stylesheet href=/assets/main-AbCd1234.css><link rel=icon href=/icon.svg>",
        "assets/main-AbCd1234.css": "a{b:url(dot-AbCd5678.svg)} c{d:url(../icon.svg)}",
        "assets/dot-AbCd5678.svg": "<svg/>",
        "icon.svg": "<svg/>",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assets = AssetStore()
    mount = assets.static(
        "/", root=tmp_path, name="assets", fingerprint="content", html=True, immutable="vite", references="strict"
    )
    icon = assets.url_for("assets", file="icon.svg")
    assert assets.url_for("assets", file="index.html") == "/index.html"
    assert assets.url_for("assets", file="assets/main-AbCd1234.css") == "/assets/main-AbCd1234.css"
    assert read_bytes(mount.backend, "index.html").decode() == files["index.html"].replace("/icon.svg", icon)
    sheet = read_bytes(mount.backend, "assets/main-AbCd1234.css").decode()
    assert sheet == files["assets/main-AbCd1234.css"].replace("../icon.svg", f"..{icon}")


def test_closing_ends_the_thread_that_rewrites(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{b:c}" * 10_000)
    rewriting = RewrittenBackend(LocalBackend(tmp_path), ContentFingerprint())

    async def page() -> str | None:
        return rewriting.stat("a.css").fingerprint

    before = set(threading.enumerate())
    assert eventually(lambda: asyncio.run(page()) is not None)
    rewriting.close()
    assert "assetstore-rewrite" not in {each.name for each in set(threading.enumerate()) - before}
    (tmp_path / "a.css").write_text("a{b:d}" * 10_000)
    assert asyncio.run(page()) is not None


def test_a_source_map_is_sent_as_it_is_and_its_sources_are_found(tmp_path: Path) -> None:
    """From the fingerprinted style sheet and script to the map, and from the map to the sources, as developer tools go."""
    files = {
        "css/app.css": "a{color:red}\n/*# sourceMappingURL=../maps/app.css.map */",
        "js/app.js": "export {}\n//# sourceMappingURL=../maps/app.js.map",
        "maps/app.css.map": json.dumps({"version": 3, "sources": ["../src/app.scss"], "mappings": ""}),
        "maps/app.js.map": json.dumps({"version": 3, "sourceRoot": "../src/", "sources": ["app.ts"], "mappings": ""}),
        "src/app.scss": "$red: red",
        "src/app.ts": "export {}",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    store = AssetStore()
    store.static("/assets/", root=tmp_path, name="assets", references="strict", fingerprint="content")
    with TestClient(Starlette(routes=store.routes)) as client:
        for name, source in (("css/app.css", "src/app.scss"), ("js/app.js", "src/app.ts")):
            url = store.url_for("assets", file=name)
            match = re.search(r"sourceMappingURL=(\S+)", client.get(url).text)
            assert match is not None
            map_url = urljoin(url, match[1])
            assert ("-" in match[1]) is name.endswith(".css"), "scripts are left alone"
            found = client.get(map_url)
            assert found.text == files[f"maps/{name.partition('/')[2]}.map"]
            document = found.json()
            (listed,) = document["sources"]
            reply = client.get(urljoin(urljoin(map_url, document.get("sourceRoot", "")), listed))
            assert (reply.status_code, reply.text) == (200, files[source])
