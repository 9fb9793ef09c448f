"""Types come from the package's own tables, with a charset where there is UTF-8 text."""

from __future__ import annotations

import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets import media_types
from assetstore.assets.media_types import MediaTypes, TextCheck, declared_encoding
from assetstore.errors import SettingsError


def is_utf8(content: bytes) -> bool:
    check = TextCheck()
    check.update(content)
    check.end()
    return check.is_utf8


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
        pytest.param("live.mpd", "application/dash+xml; charset=utf-8", id="DASH"),
        pytest.param("live.m3u8", "application/vnd.apple.mpegurl; charset=utf-8", id="HLS"),
        pytest.param("live.m4s", "video/iso.segment", id="a segment"),
        pytest.param("a.mp4", "video/mp4", id="MP4 is video"),
        pytest.param("pass.pkpass", "application/vnd.apple.pkpass", id="a pass for Apple Wallet"),
        pytest.param("add-on.xpi", "application/x-xpinstall", id="an extension for Firefox"),
        pytest.param("wifi.mobileconfig", "application/x-apple-aspen-config", id="a profile, which may be signed"),
        pytest.param("logo.svgz", "image/svg+xml", id="compressed SVG"),
        pytest.param("chair.glb", "model/gltf-binary", id="glTF"),
        pytest.param("chair.usdz", "model/vnd.usdz+zip", id="AR Quick Look"),
        pytest.param("cal.ics", "text/calendar; charset=utf-8", id="a calendar"),
        pytest.param("shader.wgsl", "text/wgsl; charset=utf-8", id="WebGPU shading language"),
        pytest.param("map.pmtiles", "application/vnd.pmtiles", id="PMTiles"),
        pytest.param("a.tar.gz", "application/gzip", id="gzip"),
        pytest.param("a.deb", "application/x-debian-package", id="a type of the registry's base"),
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


def test_a_mount_has_its_own_types() -> None:
    own = MediaTypes({".usdz": "model/x-own", ".d.ts": "text/plain", ".TS": "text/x-ts", "CNAME": "text/plain"})
    assert own.of("a/chair.USDZ") == "model/x-own"
    assert own.of("a.d.ts") == "text/plain; charset=utf-8"
    assert own.of("a.ts") == "text/x-ts; charset=utf-8"
    assert own.of("cname") == "text/plain; charset=utf-8"
    assert own.of("a.css") == "text/css; charset=utf-8"
    assert media_types.of("a.ts") == "video/mp2t"


def test_parameters_of_a_mounts_own_type_are_sent_as_they_are() -> None:
    own = MediaTypes({".txt": "Text/Plain; charset=iso-8859-1", ".png": 'image/png; a="b c"'})
    assert own.of("a.txt", utf8=False) == "text/plain; charset=iso-8859-1"
    assert own.bare("a.txt") == "text/plain"
    assert own.of("a.png") == 'image/png; a="b c"'
    assert not own.is_text("a.txt")
    assert own.compressible("a.txt")


@pytest.mark.parametrize(
    "given",
    [{"": "text/css"}, {".": "text/css"}, {"a/b": "text/css"}, {"*.css": "text/css"}, {".a\n": "text/css"}, {3: "a/b"},
     {".css": ""}, {".css": "css"}, {".css": "text/css\r\nX: y"}, {".css": "text/"}, {".css": "text/css; charset"},
     {".css": "text/é"}, {".css": 3}, {".css": None}],
)  # fmt: skip
def test_types_that_cannot_be_sent_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="media_types"):
        MediaTypes(given)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", True, id="nothing"),
        pytest.param("é".encode(), True, id="UTF-8"),
        pytest.param("é".encode()[:1], False, id="UTF-8, cut off, or Latin-1"),
        pytest.param("é".encode("latin-1") + b"x", False, id="Latin-1"),
        pytest.param("é".encode("utf-16"), False, id="UTF-16 with its mark"),
        pytest.param(b'@charset "iso-8859-1";', False, id="a style sheet declares another"),
        pytest.param(b'@charset "UTF-8";', True, id="a style sheet declares it"),
        pytest.param(b"<?xml version='1.0' encoding='ISO-8859-2'?>", False, id="XML declares another"),
        pytest.param(b'<?xml version="1.0" encoding="utf-8"?>', True, id="XML declares it"),
        pytest.param(
            b'<!doctype html>\n<meta name=x><META charset="windows-1251">', False, id="a page declares another"
        ),
        pytest.param(b'<meta http-equiv=content-type content="text/html; charset=koi8-r">', False, id="the old way"),
        pytest.param(b"document.write('<meta charset=koi8-r>')", True, id="a script only mentions one"),
        pytest.param(b'\xef\xbb\xbf@charset "iso-8859-1";', True, id="a byte order mark wins"),
    ],
)
def test_whether_bytes_are_utf8_and_say_nothing_else(content: bytes, expected: bool) -> None:
    assert is_utf8(content) is expected
    assert (media_types.of("a.txt", utf8=is_utf8(content)) == "text/plain; charset=utf-8") is expected


def test_the_content_decides_for_text_only() -> None:
    assert media_types.of("a.png", utf8=False) == "image/png"
    assert media_types.of("logo.svgz", utf8=False) == "image/svg+xml"


@given(st.binary(max_size=3000))
def test_any_content_is_judged(content: bytes) -> None:
    is_utf8(content)
    assert (declared_encoding(content) or "").isascii()


@given(st.text(max_size=2000))
def test_what_was_encoded_as_utf8_is_utf8(text: str) -> None:
    content = text.encode("utf-8", "ignore")
    assert is_utf8(content) or declared_encoding(content) is not None


@given(st.dictionaries(st.text(), st.text()))
def test_any_own_types_are_read_or_refused(given: dict[str, str]) -> None:
    try:
        own = MediaTypes(given)
    except SettingsError:
        return
    for key in given:
        assert own.of("x" + key).isascii()


def test_a_prescan_of_many_tags_takes_no_time() -> None:
    assert is_utf8(b"<meta " * 170_000)


@given(
    st.binary(max_size=3000) | st.sampled_from([b'@charset "utf-8"; a{}', b"<?xml version='1.0' encoding='utf-8'?>"]),
    st.integers(1, 700),
)
def test_pieces_are_judged_as_the_whole(content: bytes, size: int) -> None:
    check = TextCheck()
    for start in range(0, len(content), size):
        check.update(content[start : start + size])
    check.end()
    assert check.is_utf8 is is_utf8(content)
