"""Types come from our own table, with a charset where there is text."""

from __future__ import annotations

import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets import media_types


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("css/app.css", "text/css; charset=utf-8", id="a style sheet is text"),
        pytest.param("js/app.min.js", "text/javascript; charset=utf-8", id="the last extension decides"),
        pytest.param("js/app.mjs", "text/javascript; charset=utf-8", id="a module is JavaScript"),
        pytest.param("APP.JS", "text/javascript; charset=utf-8", id="case does not matter"),
        pytest.param("app.js.map", "application/json; charset=utf-8", id="a source map is JSON"),
        pytest.param("site.webmanifest", "application/manifest+json; charset=utf-8", id="a web manifest is JSON"),
        pytest.param("a.wasm", "application/wasm", id="WebAssembly streams only under its own type"),
        pytest.param("logo.svg", "image/svg+xml; charset=utf-8", id="SVG is text"),
        pytest.param("feed.xml", "text/xml; charset=utf-8", id="XML"),
        pytest.param("a.avif", "image/avif", id="AVIF"),
        pytest.param("a.webp", "image/webp", id="WebP"),
        pytest.param("favicon.ico", "image/vnd.microsoft.icon", id="an icon"),
        pytest.param("a.woff2", "font/woff2", id="a font"),
        pytest.param("robots.txt", "text/plain; charset=utf-8", id="plain text"),
        pytest.param("README.md", "text/markdown; charset=utf-8", id="Markdown"),
        pytest.param("subs.vtt", "text/vtt; charset=utf-8", id="subtitles"),
        pytest.param("apple-app-site-association", "application/json; charset=utf-8", id="a name without extension"),
        pytest.param("LICENSE", "application/octet-stream", id="no extension"),
        pytest.param("a.unknown", "application/octet-stream", id="an unknown extension"),
        pytest.param("dir.css/file", "application/octet-stream", id="a folder's dot is no extension"),
        pytest.param("", "application/octet-stream", id="no name at all"),
    ],
)
def test_the_type_of(path: str, expected: str) -> None:
    assert media_types.of(path) == expected


@pytest.mark.parametrize("path", ["a.css", "a.js", "a.svg", "a.json", "a.wasm", "a.ttf", "a.ico", "a.webmanifest"])
def test_text_and_loose_binaries_gain_from_compression(path: str) -> None:
    assert media_types.compressible(path)


@pytest.mark.parametrize("path", ["a.png", "a.woff2", "a.zip", "a.mp4", "a.jpg", "a.gz", "a.br", "a.pdf", "a.bin", "a"])
def test_what_is_already_compressed_or_unknown_does_not(path: str) -> None:
    assert not media_types.compressible(path)


@pytest.mark.parametrize(("path", "expected"), [("a.css", True), ("game.data", True), ("a.png", False), ("a.br", True)])
def test_a_sibling_may_stand_beside_what_is_unknown(path: str, expected: bool) -> None:
    assert media_types.may_have_variants(path) is expected


def test_the_machines_own_table_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))
    monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")
    assert media_types.of("app.js") == "text/javascript; charset=utf-8"


@given(st.text())
def test_any_name_has_a_type_that_can_be_sent(path: str) -> None:
    assert media_types.of(path).isascii()
    assert isinstance(media_types.compressible(path), bool)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("app.css", True), ("a/b.webp", True), ("index.html", False), ("about", False), ("a.unknown", False)],
)
def test_what_pages_refer_to_is_told_from_pages(path: str, expected: bool) -> None:
    assert media_types.is_asset(path) is expected
