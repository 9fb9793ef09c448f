"""Imports are found by a lexer, with the line and column that people see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.references import js as scripts
from assetstore.references.reference import Place, Reference


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param('import a from "./a.js"', [("import", "./a.js")], id="a default import"),
        pytest.param("import{a}from'./a.js'", [("import", "./a.js")], id="a minified import"),
        pytest.param("import $a, * as b from './a.js'", [("import", "./a.js")], id="a name with a dollar"),
        pytest.param("import './a.js'", [("import", "./a.js")], id="an import for its effect"),
        pytest.param(
            "import a from './a.json' with {type: 'json'}", [("import", "./a.json")], id="an import with attributes"
        ),
        pytest.param("export * from './a.js'", [("export-from", "./a.js")], id="export all from"),
        pytest.param("export { a as b } from './a.js'", [("export-from", "./a.js")], id="export names from"),
        pytest.param("export const a = './a.js'", [], id="an export of its own"),
        pytest.param("await import('./a.js')", [("dynamic-import", "./a.js")], id="a dynamic import"),
        pytest.param(
            "import('./a.js', {with: {}})", [("dynamic-import", "./a.js")], id="a dynamic import with options"
        ),
        pytest.param("import(`./a.js`)", [("dynamic-import", "./a.js")], id="a template without substitutions"),
        pytest.param("import(`./${a}.js`); import(a); import('./a' + b)", [], id="what is computed cannot be known"),
        pytest.param("import.meta.resolve('./a.js')", [("resolve", "./a.js")], id="import.meta.resolve"),
        pytest.param("new URL('./a.js', import.meta.url)", [("url", "./a.js")], id="new URL beside the module"),
        pytest.param("new URL('./a.js', location); new Url('./a.js', import.meta.url)", [], id="another new"),
        pytest.param("// import './a.js'\n/* import './a.js' */", [], id="comments"),
        pytest.param("const a = \"import './a.js'\", b = `import './a.js'`", [], id="strings"),
        pytest.param("const a = /import '.a.js'/, b = import_('./a.js')", [], id="a regular expression"),
        pytest.param("`${import('./a.js')}`", [("dynamic-import", "./a.js")], id="within a template"),
        pytest.param(r"import '\x2e/\u0061\u{2E}js'", [("import", "./a.js")], id="escapes"),
        pytest.param("import './a\\\n.js'", [("import", "./a.js")], id="a line continuation"),
        pytest.param("a(((;\nimport './a.js'", [("import", "./a.js")], id="after a syntax error"),
        pytest.param("//# sourceMappingURL=a.js.map", [("source-map", "a.js.map")], id="a source map"),
        pytest.param("//@ sourceMappingURL=a.js.map", [("source-map", "a.js.map")], id="a source map of old"),
    ],
)
def test_literal_specifiers_are_found(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(each.kind, each.url) for each in scripts.scan(source.encode())] == expected


def test_line_and_column_count_characters() -> None:
    assert scripts.scan("\n'é'; import './a.js'".encode()) == [Reference("import", "./a.js", Place(2, 13))]


def test_order_is_that_of_the_file() -> None:
    source = b"import('./1'); import './2'; new URL('./3', import.meta.url); export * from './4'"
    assert [each.url for each in scripts.scan(source)] == ["./1", "./2", "./3", "./4"]


def test_threads_may_scan_at_once() -> None:
    sources = [b"import './%d.js';" % number * 200 for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(scripts.scan, sources)):
            assert {each.url for each in found} == {f"./{number}.js"}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_scan(data: bytes) -> None:
    scripts.scan(data)
