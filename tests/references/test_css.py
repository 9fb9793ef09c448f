"""Style sheets are read as CSS Syntax Level 3 says, whatever bytes they hold, and nothing but the references changes."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.references import css as stylesheets
from assetstore.references.reference import MAX_REFERENCES, Position, Reference, replace


def urls(css: str) -> list[tuple[str, str]]:
    return [(each.reference.kind, each.reference.url) for each in stylesheets.scan(css.encode())]


def rewrite(css: str, replacement: Callable[[Reference], str | None]) -> str:
    data = css.encode()
    return replace(data, stylesheets.scan(data), replacement).decode()


FOUND = [
    pytest.param("a{b:url(x.png)}", [("url", "x.png")], id="url without quotes"),
    pytest.param("a{b:url('x.png')}", [("url", "x.png")], id="url in single quotes"),
    pytest.param('a{b:url( "x.png" )}', [("url", "x.png")], id="url in double quotes, with blanks"),
    pytest.param("a{b:URL(x.png)}", [("url", "x.png")], id="url in capitals"),
    pytest.param(r"a{b:u\72l(x.png)}", [("url", "x.png")], id="url with an escape in its name"),
    pytest.param(r"a{b:url(my\ logo.png)}", [("url", "my logo.png")], id="an escaped blank"),
    pytest.param(r"a{b:url('it\'s.png')}", [("url", "it's.png")], id="an escaped quote"),
    pytest.param(r"a{b:url(\000078.png)}", [("url", "x.png")], id="a hexadecimal escape"),
    pytest.param('a{b:url("lo\\\r\nng.png")}', [("url", "long.png")], id="a string over two lines"),
    pytest.param("a{b:url(x.svg?v=1#f)}", [("url", "x.svg?v=1#f")], id="query and fragment"),
    pytest.param("a{b:url(x.png),url(y.png)}", [("url", "x.png"), ("url", "y.png")], id="two in one declaration"),
    pytest.param("@media print{a{b:url(x.png)}}", [("url", "x.png")], id="within a block"),
    pytest.param("a{&:hover{b:url(x.png)}}", [("url", "x.png")], id="within nested rules"),
    pytest.param("a{--b:{c:url(x.png)}}", [("url", "x.png")], id="within a custom property"),
    pytest.param("a{b:var(--c,url(x.png))}", [("url", "x.png")], id="within another function"),
    pytest.param("@font-face{src:url(x.woff2)format('woff2')}", [("url", "x.woff2")], id="a font"),
    pytest.param("@font-face{src:src('x.woff2')}", [("src", "x.woff2")], id="the src function"),
    pytest.param("@font-face{src:src(var(--x))}", [], id="a src that is computed"),
    pytest.param(
        "a{b:image-set('x.png' 1x,url(y.png) 2x,'z.avif' type('image/avif'))}",
        [("image-set", "x.png"), ("url", "y.png"), ("image-set", "z.avif")],
        id="an image set, but not its types",
    ),
    pytest.param("a{b:-webkit-image-set('x.png' 1x)}", [("image-set", "x.png")], id="a prefixed image set"),
    pytest.param("@import 'x.css';", [("import", "x.css")], id="import of a string"),
    pytest.param("@import url(x.css);", [("import", "x.css")], id="import of a url"),
    pytest.param("@import url('x.css');", [("import", "x.css")], id="import of a quoted url"),
    pytest.param("@import src('x.css');", [("import", "x.css")], id="import of a src"),
    pytest.param("@import/**/'x.css'", [("import", "x.css")], id="import after a comment, at the end"),
    pytest.param(
        "@import 'x.css' layer(a) supports(background:url(n.png)) screen;",
        [("import", "x.css")],
        id="import with conditions",
    ),
    pytest.param("@IMPORT 'x.css';a{b:url(y.png)}", [("import", "x.css"), ("url", "y.png")], id="import in capitals"),
    pytest.param("a{@import 'x.css';}", [], id="import within a rule is none"),
    pytest.param("/* url(x.png) @import 'y.css'; */", [], id="a comment"),
    pytest.param("@namespace s url(http://w3.org/svg);", [], id="a namespace"),
    pytest.param("@supports(b:url(x.png)){a{b:url(y.png)}}", [("url", "y.png")], id="a condition of supports"),
    pytest.param("a[b='url(x.png)']{c:'url(y.png)'}", [], id="a mere string"),
    pytest.param("a{b:url(x.png'y)}", [], id="a broken url"),
    pytest.param("a{b:url(data:image/png;base64,AA==)}", [], id="a data url"),
    pytest.param("a{b:url(x.png", [("url", "x.png")], id="a url that the end of the file closes"),
    pytest.param("a{b:url('x.png", [("url", "x.png")], id="a string that the end of the file closes"),
    pytest.param("/*# sourceMappingURL=x.css.map */", [("source-map", "x.css.map")], id="a source map"),
    pytest.param("/*@ sourceMappingURL=x.css.map*/", [("source-map", "x.css.map")], id="a source map of old"),
    pytest.param("\ufeff@import 'x.css';", [("import", "x.css")], id="after a byte order mark"),
]


@pytest.mark.parametrize(("css", "expected"), FOUND)
def test_what_a_browser_follows_is_found(css: str, expected: list[tuple[str, str]]) -> None:
    assert urls(css) == expected


@pytest.mark.parametrize(("css", "expected"), FOUND)
def test_a_replaced_url_is_read_back_as_given(css: str, expected: list[tuple[str, str]]) -> None:
    name = "n-0/x.y" if any(kind == "source-map" for kind, _ in expected) else "n (0)'\"\\.x"
    assert urls(rewrite(css, lambda reference: name)) == [(kind, name) for kind, _ in expected]


def test_line_and_column_are_those_of_the_file() -> None:
    css = "/* é */\r\na { }\n\n\tb { c: url(x.png) }\f d { e: url('y.png') }"
    assert [each.reference.position for each in stylesheets.scan(css.encode())] == [Position(4, 9), Position(5, 13)]


def test_everything_outside_the_spans_stays_byte_for_byte() -> None:
    data = b"\xef\xbb\xbf@charset 'x';\r\na{b:url( x.png )}\r\xff\xfe/* url(x.png) */\f\x00c{d:url('x.png')}"
    found = stylesheets.scan(data)
    assert replace(data, found, lambda reference: "y-1.png") == (
        b"\xef\xbb\xbf@charset 'x';\r\na{b:url( y-1.png )}\r\xff\xfe/* url(x.png) */\f\x00c{d:url('y-1.png')}"
    )


def test_a_reference_may_be_left_alone() -> None:
    def only_y(reference: Reference) -> str | None:
        return "z" if reference.url == "y" else None

    assert rewrite("a{b:url(x),url(y)}", only_y) == "a{b:url(x),url(z)}"


def test_deep_nesting_is_no_trouble() -> None:
    css = "a{" * 5000 + "b:url(x.png)" + "}" * 5000
    assert urls(css) == [("url", "x.png")]


fragments = st.sampled_from(
    [
        "url(",
        "'",
        '"',
        ")",
        "\\",
        "\n",
        "\r\n",
        "\f",
        "@import ",
        ";",
        "{",
        "}",
        "image-set(",
        "/*",
        "*/",
        "a.png",
        " ",
        "src(",
        "\0",
    ]
)


@given(st.lists(fragments | st.text(max_size=4), max_size=30).map("".join))
def test_no_text_breaks_the_reading_and_unreplaced_it_is_unchanged(css: str) -> None:
    assert rewrite(css, lambda reference: None) == css
    found = stylesheets.scan(css.encode())
    assert all(one.stop <= other.start for one, other in zip(found, found[1:], strict=False)), "spans overlap"


@given(st.lists(fragments, max_size=14).map("".join))
def test_a_rewritten_text_refers_to_what_it_was_rewritten_to(css: str) -> None:
    def name(kind: str) -> str:
        return "map-1.x" if kind == "source-map" else "n (1)'\".x"

    expected = [(kind, name(kind)) for kind, _ in urls(css)]
    assert urls(rewrite(css, lambda reference: name(reference.kind))) == expected


@given(st.binary(max_size=200) | st.lists(fragments.map(str.encode) | st.binary(max_size=3), max_size=30).map(b"".join))
def test_any_bytes_are_read_and_stay_as_they_are(data: bytes) -> None:
    found = stylesheets.scan(data)
    assert replace(data, found, lambda reference: None) == data


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        pytest.param("a{b:1url(x.png)}", [], id="a number with a unit"),
        pytest.param("a{b:#url(x.png)}", [], id="a hash"),
        pytest.param("a{b:-url(x.png)}", [], id="another name"),
        pytest.param("a{b:1.url(x.png)}", [("url", "x.png")], id="a number, a point, and a url"),
        pytest.param("<!--url(x.png)", [("url", "x.png")], id="after a comment of HTML"),
        pytest.param("a{@b url(x.png)}c{d:url(y.png)}", [("url", "y.png")], id="a prelude that its block ends"),
        pytest.param("@b{;}c{d:url(x.png)}", [("url", "x.png")], id="after a block without declarations"),
        pytest.param("@b(;)url(x.png);c{d:url(y.png)}", [("url", "y.png")], id="a semicolon within a prelude"),
        pytest.param("a{b:c(;}d{e:url(x.png)}", [("url", "x.png")], id="in a function that does not end"),
        pytest.param("a{b:url(x\\\ny.png)}c{d:url(z.png)}", [("url", "z.png")], id="a broken escape"),
        pytest.param("a{b:url('x\ny.png')}c{d:url(z.png)}", [], id="a string that a line break ends"),
        pytest.param(
            "@import url(x;y.css);a{b:url(z.png)}", [("import", "x;y.css"), ("url", "z.png")], id="a semicolon in a url"
        ),
        pytest.param("@import sup('x.css');", [], id="import of another function"),
        pytest.param("a{b:url(caf\u00e9.png)}", [("url", "caf\u00e9.png")], id="a letter beyond ASCII"),
        pytest.param("a{b:url(\\d800 x.png)}", [("url", "\ufffdx.png")], id="an escape of half a pair"),
        pytest.param("a{b:url(\\ffffff x.png)}", [("url", "\ufffdx.png")], id="an escape beyond Unicode"),
    ],
)
def test_tokens_end_where_the_standard_says(css: str, expected: list[tuple[str, str]]) -> None:
    assert urls(css) == expected


def test_a_byte_that_is_no_utf_8_breaks_nothing() -> None:
    data = b"/* Jos\xe9 */a{b:url(caf\xe9.png);c:url(x.png)}"
    found = stylesheets.scan(data)
    assert [each.reference.url for each in found] == ["caf\ufffd.png", "x.png"]
    assert replace(data, found, lambda each: "y" if each.url == "x.png" else None) == data.replace(b"x.png", b"y")


@pytest.mark.parametrize(
    "piece",
    [
        b"1",
        b"(",
        b"a{",
        b"url(",
        b"url( ",
        b"'",
        b"/*",
        b"/**/",
        b"@import ",
        b"@import/*",
        b"\\a",
        b"url(x)",
        b"src(/*",
        b"-a ",
    ],
)
def test_hostile_text_is_read_in_linear_time(piece: bytes) -> None:
    def cost(size: int) -> float:
        began = thread_time()
        stylesheets.scan(b"a{b:" + piece * (size // len(piece)))
        return thread_time() - began

    assert min(cost(100_000) for _ in range(2)) < 8 * min(cost(25_000) for _ in range(3)) + 0.05


def test_the_number_of_references_is_limited() -> None:
    assert len(stylesheets.scan(b"url(x)" * (MAX_REFERENCES + 5))) == MAX_REFERENCES
