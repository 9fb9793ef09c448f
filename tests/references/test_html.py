"""Pages, SVGs and web manifests are read as browsers do, whatever bytes they hold."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.references import html
from assetstore.references.html import Scanner
from assetstore.references.reference import Position, replace


def urls(page: str) -> list[tuple[str, str]]:
    return [(each.reference.kind, each.reference.url) for each in html.scan(page.encode())]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<img src=a.png>", [("src", "a.png")]),
        ("<IMG SRC='a.png'/>", [("src", "a.png")]),
        ("<img src = \"a.png?x&amp;y\">", [("src", "a.png?x&y")]),
        ("<img src=a.png src=b.png>", [("src", "a.png")]),
        ("<img data-src=a.png alt='src=b.png'>", []),
        ("<img srcset='a.png 1x,b.png 2x , c.png'>", [("srcset", "a.png"), ("srcset", "b.png"), ("srcset", "c.png")]),
        ("<img srcset='data:image/png;base64,AA== 1x, b.png 2x'>", [("srcset", "data:image/png;base64,AA=="), ("srcset", "b.png")]),
        ("<source srcset='a.avif, b.avif 2x' type=image/avif>", [("srcset", "a.avif"), ("srcset", "b.avif")]),
        ("<link rel='alternate stylesheet' href=a.css>", [("href", "a.css")]),
        ("<link rel=preload as=image imagesrcset='a.png 1x' href=b.png>", [("imagesrcset", "a.png"), ("href", "b.png")]),
        ("<link rel=canonical href=a.html><link href=b.css>", []),
        ("<a href=a.css><form action=b.js><iframe src=c.html>", []),
        ("<script src=a.js></script><script>'<img src=b.png>'</script>", [("src", "a.js")]),
        ("<video poster=a.png src=b.mp4><track src=c.vtt></video>", [("poster", "a.png"), ("src", "b.mp4"), ("src", "c.vtt")]),
        ("<object data=a.pdf></object><embed src=b.swf><input src=c.png>", [("data", "a.pdf"), ("src", "b.swf"), ("src", "c.png")]),
        ("<svg><use href=a.svg#x /><image xlink:href=b.png /></svg>", [("use", "a.svg#x"), ("xlink:href", "b.png")]),
        ("<!-- <img src=a.png> --><!doctype html><?xml <img src=b.png>", []),
        ("<!--><img src=a.png>", [("src", "a.png")]),
        ("<title><img src=a.png></title><textarea><img src=b.png></textarea>", []),
        ("<style>@import 'a.css'; b { c: url(d.png) }</style>", [("import", "a.css"), ("url", "d.png")]),
        ("<style>a { b: 'c</style d><img src=e.png>", [("src", "e.png")]),
        ("<p style='a: url(b.png)'><p style='a: url(&quot;b.png&quot;)'>", [("url", "b.png")]),
        ("1 < 2 <img src=a.png>", [("src", "a.png")]),
        ("<img src=a.png", []),
        ("<img src='{{ base }}/a.png'><img src=\"{% static 'b.png' %}\"><img src='<%= c %>'><img src=d.png>", [("src", "d.png")]),
        ("<noscript><img src=a.png></noscript>", [("src", "a.png")]),
        ("<base href=/x/><img src=a.png><img src=/b.png>", [("src", "/b.png")]),
        ('<script type=importmap>{"imports": {"a": "./a.js", "b": ["c"]}, "x": {"d": "e"}}</script>', [("importmap", "./a.js")]),
        ('<script type="importmap">{"scopes": {"/s/": {"a": "./a\\u002ejs"}}}</script>', [("importmap", "./a.js")]),
    ],
)  # fmt: skip
def test_what_a_browser_fetches_for_a_page_is_found(page: str, expected: list[tuple[str, str]]) -> None:
    assert urls(page) == expected


def test_a_url_is_spelled_so_that_it_stays_within_its_attribute() -> None:
    page = b"<img src=a.png><img src='b.png'><p style=\"x:url(c.png)\"><style>d{e:url(f.png)}</style>"
    hostile = "a b\"'<>&)"
    again = replace(page, html.scan(page), lambda reference: hostile)
    read = [each.reference.url.replace("%20", " ") for each in html.scan(again)]
    assert read[:2] == [hostile, hostile]
    assert read[-1] == hostile
    assert again.count(b"<") == page.count(b"<")


def test_a_position_is_that_of_the_url() -> None:
    assert html.scan("<p>\n\u00e9<img src='a.png'>".encode())[0].reference.position == Position(2, 12)


def test_an_svg_is_read_as_xml() -> None:
    svg = b"<svg><style/><image href='a.png'/><style><![CDATA[@import 'b.css';]]></style><![CDATA[<image href=c.png>]]></svg>"
    assert [each.reference.url for each in html.scan_svg(svg)] == ["a.png", "b.css"]


def test_a_web_manifest_names_its_images() -> None:
    data = b"""{"name": "x", "start_url": "index.html", "icons": [{"src": "a.png"}, {"sizes": "1x1", "src": "b\\/c.png"}],
    "shortcuts": [{"name": "s", "url": "u", "icons": [{"src": "d.png"}]}], "screenshots": [{"src": "e.png"}],
    "other": {"icons": [{"src": "f.png"}]}}"""
    found = html.scan_manifest(data)
    assert [each.reference.url for each in found] == ["a.png", "b/c.png", "d.png", "e.png"]
    assert found[2].reference.position.line == 2


pieces = st.sampled_from(
    [b"<img src=", b"<style>", b"</style>", b"<!--", b"-->", b"'", b'"', b">", b"<", b"=", b" ", b"a.png", b"<script type=importmap>", b"{", b"[", b":", b",", b"\\", b"url(", b"&", b"srcset="]  # noqa: E501
)  # fmt: skip


@given(st.binary(max_size=100) | st.lists(pieces, max_size=40).map(b"".join))
def test_any_bytes_are_read_and_stay_as_they_are(data: bytes) -> None:
    for scan in (html.scan, html.scan_svg, html.scan_manifest):
        found = scan(data)
        assert replace(data, found, lambda reference: None) == data
        assert all(one.stop <= other.start for one, other in zip(found, found[1:], strict=False)), "spans overlap"


@given(st.lists(pieces, max_size=30).map(b"".join), st.integers(min_value=1, max_value=9))
def test_a_page_in_pieces_is_the_same_page(data: bytes, size: int) -> None:
    scanner, rest, found = Scanner(), b"", []
    for start in range(0, len(data), size):
        rest += data[start : start + size]
        some, end = scanner.scan(rest, final=False)
        found += [each.reference for each in some]
        rest = rest[end:]
    found += [each.reference for each in scanner.scan(rest, final=True)[0]]
    assert found == [each.reference for each in Scanner().scan(data, final=True)[0]]


@pytest.mark.parametrize(
    "piece",
    [b"<", b"<a", b"<a b='", b"<!--", b"<style>", b"</", b"<a ", b"<a b=c>", b"<img src=a>", b"<script>", b"<a =", b"&", b"<img srcset='" + b"a," * 50 + b"'>"],  # noqa: E501
)  # fmt: skip
def test_hostile_pages_are_read_in_linear_time(piece: bytes) -> None:
    def cost(size: int) -> float:
        began = thread_time()
        html.scan(piece * (size // len(piece)))
        return thread_time() - began

    assert min(cost(100_000) for _ in range(2)) < 8 * min(cost(25_000) for _ in range(3)) + 0.05


@pytest.mark.parametrize("piece", [b"{", b"[", b'"', b'"\\', b'{"a":', b",", b'[{"icons":[{"src":"a"}]},'])
def test_hostile_json_is_read_in_linear_time(piece: bytes) -> None:
    def cost(size: int) -> float:
        began = thread_time()
        html.scan_manifest(piece * (size // len(piece)))
        return thread_time() - began

    assert min(cost(100_000) for _ in range(2)) < 8 * min(cost(25_000) for _ in range(3)) + 0.05
