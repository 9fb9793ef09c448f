"""Imports are found by a lexer, with the line and column that people see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.references import js as scripts
from assetstore.references.reference import MAX_REFERENCES, Position, Reference


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
    (found,) = scripts.scan("\n'é'; import './a.js'".encode())
    assert found == Reference("import", "./a.js")
    assert found.position == Position(2, 13)


def test_order_is_that_of_the_file() -> None:
    source = b"import('./1'); import './2'; new URL('./3', import.meta.url); export * from './4'"
    assert [each.url for each in scripts.scan(source)] == ["./1", "./2", "./3", "./4"]


def test_threads_may_scan_at_once() -> None:
    sources = [b"import './%d.js';" % number * 200 for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(scripts.scan, sources)):
            assert {each.url for each in found} == {f"./{number}.js"}


CODE = {
    "a comment before the specifier": ('import(/* webpackChunkName: "e" */ "./a.js")', [("dynamic-import", "./a.js")]),
    "a line comment before it": ("import(\n// lazily\n'./a.js'\n)", [("dynamic-import", "./a.js")]),
    "comments anywhere": ("import/*a*/a/*b*/from/*c*/'./a.js'", [("import", "./a.js")]),
    "comments in a clause": ("import{a}/*from './x.js'*/from\n//\n'./a.js'", [("import", "./a.js")]),
    "comments in new URL": ("new URL(/*a*/'./a'/*b*/, import/*c*/.meta.url,)", [("url", "./a")]),
    "a comment in resolve": ("import.meta.resolve(/* c */ './a.js')", [("resolve", "./a.js")]),
    "a default and names": ("import a, {b as c} from './a.js'", [("import", "./a.js")]),
    "a default and all": ("import a, * as b from './a.js'", [("import", "./a.js")]),
    "names that are strings": (
        "import {'a b' as c} from './a.js';export * as 'd e' from './b.js'",
        [("import", "./a.js"), ("export-from", "./b.js")],
    ),
    "a default called from": ("import from from './a.js'", [("import", "./a.js")]),
    "a deferred import": (
        "import defer * as a from './a.js'; import source b from './b.wasm'",
        [("import", "./a.js"), ("import", "./b.wasm")],
    ),
    "a default called defer": ("import defer from './a.js'", [("import", "./a.js")]),
    "a spread": ("[...import('./a.js')]", [("dynamic-import", "./a.js")]),
    "a method called import": ("a.import('./a.js'); a?.import('./a.js'); $import('./a.js'); #import('./a.js')", []),
    "a member called URL": ("new a.URL('./a', import.meta.url)", []),
    "strings behind a from": ("const from = 1; Array.from('a'); a = {from: 'b', import: 'c'}", []),
    "a division": ("a / b / import('./a.js') / c", [("dynamic-import", "./a.js")]),
    "a division by a bracket": ("(a) / b; c[0] / import('./a.js') / 2", [("dynamic-import", "./a.js")]),
    "a division of a number": ("1 / import('./a.js') / 1. / 2", [("dynamic-import", "./a.js")]),
    "a division after an increment": ("a++ / import('./a.js') / 2", [("dynamic-import", "./a.js")]),
    "a division of a string": ("'a' / import('./a.js') / `b` / 2", [("dynamic-import", "./a.js")]),
    "a division of an object": ("a = {b: 1} / import('./a.js') / 2", [("dynamic-import", "./a.js")]),
    "a division of a call": ("f() / import('./a.js') / 2", [("dynamic-import", "./a.js")]),
    "a member that is a keyword": ("a.return / import('./a.js') / 2", [("dynamic-import", "./a.js")]),
    "a regular expression after a condition": ("if (a) /'/.test(b); import './a.js'", [("import", "./a.js")]),
    "one after a block": ("if (a) {}\n/'/.test(b); import './a.js'", [("import", "./a.js")]),
    "one after return": ("() => { return /'/ }; import './a.js'", [("import", "./a.js")]),
    "one after a semicolon": (";/`/.test(b); import './a.js'", [("import", "./a.js")]),
    "one after an operator": ("a = b && /\"/, c = !/'/; import './a.js'", [("import", "./a.js")]),
    "one after a division": ("a / /'/; import './a.js'", [("import", "./a.js")]),
    "one with a slash in a class": ("a = /[/'\\]\"]/g; import './a.js'", [("import", "./a.js")]),
    "one with an escaped slash": ("a = /\\/'/; import './a.js'", [("import", "./a.js")]),
    "one in a template": ("`${a.replace(/`/, '}')}`; import './a.js'", [("import", "./a.js")]),
    "one after else": ("if (a) b; else /'/.test(c); import './a.js'", [("import", "./a.js")]),
    "one after an arrow's body": ("a = () => {}\n/'/.test(b); import './a.js'", [("import", "./a.js")]),
    "nested templates": ("`a${`b${`import './x.js'`}`}c`; import './a.js'", [("import", "./a.js")]),
    "an object in a template": ("`${{a: '}'}.a}'`; import './a.js'", [("import", "./a.js")]),
    "a brace in a template": ("`{ $ ${a} $ } \\` \\${`; import './a.js'", [("import", "./a.js")]),
    "an escaped quote": ("'it\\'s'; import './a.js'", [("import", "./a.js")]),
    "a string that does not end": ("a = 'b\nimport './a.js'", [("import", "./a.js")]),
    "a hashbang": ("#!/usr/bin/env node 'it\nimport './a.js'", [("import", "./a.js")]),
    "comments of HTML": ("<!-- don't\na--\n  --> don't\nimport './a.js'", [("import", "./a.js")]),
    "a loop that counts down": ("while (n --> 0) f('it'); import './a.js'", [("import", "./a.js")]),
    "a separator of lines": ("// it's\u2028import './a.js'", [("import", "./a.js")]),
    "no semicolon": (
        "a = 1\nimport './a.js'\nexport * from './b.js'",
        [("import", "./a.js"), ("export-from", "./b.js")],
    ),
    "a byte order mark": ("\ufeffimport './a.js'", [("import", "./a.js")]),
    "an export of names": ("export {a}; const b = 'from'; export {c} from './a.js'", [("export-from", "./a.js")]),
    "a pair of escapes": (r"import './\ud83d\ude00\ud83d.js'", [("import", "./\U0001f600\ufffd.js")]),
    "a source map in a block comment": ("/*# sourceMappingURL=a.js.map */", [("source-map", "a.js.map")]),
    "a specifier that does not end": ("import './a.js", []),
    "a class": ("class A extends B { m() { return 1 } }\n/'/.test(a); import './a.js'", [("import", "./a.js")]),
}


@pytest.mark.parametrize(("source", "expected"), CODE.values(), ids=CODE)
def test_code_is_told_from_what_only_looks_like_it(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(each.kind, each.url) for each in scripts.scan(source.encode())] == expected


#: Statements that leave the lexer where it began, and import nothing.
harmless = st.sampled_from(
    [
        "a = b / c / d;",
        "a = /['\"`]/g;",
        "if (a) /'/.test(b);",
        "`${a}'${`\"`}`;",
        "'\\'';",
        '"\\"/*";',
        "// '\n",
        "/* ` */",
        "f() / 2;",
        "({a: 1}) / 2;",
        "{ /'/.exec(a) }",
        "a = {b: c} / 2;",
        "a++ / 2;",
        "x = [] / 1;",
        "function f() { return /`/ }",
        "class A { m() {} }",
        "for (const a of b) {}",
        "() => ({})\n",
        "a = `\\``;",
        "label: { }",
        "switch (a) { case /'/: }",
        "export {a};",
        "do {} while (/'/.test(a));",
        "a.in / 2;",
    ]
)


@given(st.lists(harmless, max_size=12), st.lists(harmless, max_size=12))
def test_an_import_is_found_between_any_statements(before: list[str], after: list[str]) -> None:
    source = "".join(before) + ";import './a.js';" + "".join(after) + ";import('./b.js')"
    assert [(each.kind, each.url) for each in scripts.scan(source.encode())] == [
        ("import", "./a.js"),
        ("dynamic-import", "./b.js"),
    ]


@given(st.lists(harmless, max_size=20).map("".join), st.integers(min_value=0, max_value=10))
def test_a_specifier_is_where_its_position_says(code: str, lines: int) -> None:
    source = f"{code}\n" * lines + "\u00e9;import './a.js'"
    (found,) = (each for each in scripts.scan(source.encode()) if each.url == "./a.js")
    rows = source.split("\n")
    assert found.position == Position(len(rows), len("\u00e9;import ") + 1)


pieces = st.sampled_from(
    [
        b"'",
        b'"',
        b"`",
        b"${",
        b"{",
        b"}",
        b"(",
        b")",
        b"/",
        b"/*",
        b"*/",
        b"//",
        b"\\",
        b"[",
        b"]",
        b"\n",
        b"import ",
        b"import(",
        b"from",
        b"export ",
        b"new URL(",
        b"<!--",
        b"-->",
        b"a",
        b" ",
    ]
)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.lists(pieces, max_size=60).map(b"".join))
def test_no_bytes_break_the_scan(data: bytes) -> None:
    for each in scripts.scan(data):
        each.url.encode()


def test_latin_1_is_read() -> None:
    data = b"/*! plugin \xa9 Jos\xe9 */ import './a.js'; import './caf\xe9.js'"
    assert [each.url for each in scripts.scan(data)] == ["./a.js", "./caf\ufffd.js"]


HOSTILE = [
    b"(",
    b"[",
    b"{",
    b"a=>(",
    b"`${",
    b"(a,",
    b"a?",
    b"x=/[",
    b"class a{",
    b"'",
    b'"\\',
    b"/*",
    b"import(/*",
    b"import(",
    b"import from ",
    b"import('a'",
    b"\n",
    b" ",
    b"a",
    b"=/",
    b"}/",
    b"new URL('a',",
    b"export*as ",
    b"<!--",
    b"\n -->",
    b"\\u{",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_code_is_read_in_linear_time(piece: bytes) -> None:
    def cost(size: int) -> float:
        began = thread_time()
        scripts.scan(piece * (size // len(piece)))
        return thread_time() - began

    assert min(cost(100_000) for _ in range(2)) < 8 * min(cost(25_000) for _ in range(3)) + 0.05


def test_the_number_of_references_is_limited() -> None:
    assert len(scripts.scan(b"import 'a';" * (MAX_REFERENCES + 5))) == MAX_REFERENCES
