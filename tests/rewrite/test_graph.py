"""A style sheet's name follows everything that it names."""

from __future__ import annotations

import hashlib

import pytest

from assetstore.backends.base import FileStat
from assetstore.names import fingerprint
from assetstore.rewrite import graph
from assetstore.rewrite.graph import Output, Source

A, B = "a" * 64, "b" * 64


def rewritten(files: dict[str, str], names: dict[str, str]) -> dict[str, Output]:
    sources = {path: Source.read(FileStat(path, len(text)), text.encode()) for path, text in files.items()}
    return graph.rewrite(sources, names.get)


def test_references_become_relative_and_fingerprinted() -> None:
    sheet = rewritten({"css/app.css": "a{b:url(../img/x.svg?v#f)}"}, {"img/x.svg": A})["css/app.css"]
    assert sheet.data.decode() == f"a{{b:url(../img/x-{A}.svg?v#f)}}"


def test_the_fingerprint_is_that_of_the_rewritten_bytes() -> None:
    sheet = rewritten({"app.css": "a{b:url(x.png)}"}, {"x.png": A})["app.css"]
    assert sheet.fingerprint == hashlib.sha256(sheet.data).hexdigest()


@pytest.mark.parametrize("url", ["/x.png", "//h/x.png", "https://h/x.png", "data:,x", "#x", "../x.png", "missing.png"])
def test_what_is_not_ours_to_name_stays_as_written(url: str) -> None:
    assert rewritten({"app.css": f"a{{b:url({url})}}"}, {"x.png": A})["app.css"].data.decode() == f"a{{b:url({url})}}"


def test_a_name_that_carries_a_fingerprint_is_left_alone() -> None:
    text = f"a{{b:url(x-{A}.png)}}"
    assert rewritten({"app.css": text}, {f"x-{A}.png": B})["app.css"].data.decode() == text


def test_rewriting_twice_is_rewriting_once() -> None:
    once = rewritten({"app.css": "a{b:url(x.png)}"}, {"x.png": A})["app.css"]
    assert rewritten({"app.css": once.data.decode()}, {"x.png": B})["app.css"] == once


def test_a_leaf_changes_every_sheet_above_it_and_no_other() -> None:
    files = {
        "top.css": "@import 'middle.css';",
        "middle.css": "@import url(leaf.css);",
        "leaf.css": "a{b:url(x.png)}",
        "other.css": "a{b:url(y.png)}",
    }
    before = rewritten(files, {"x.png": A, "y.png": A})
    after = rewritten(files, {"x.png": B, "y.png": A})
    changed = {path for path in files if before[path].fingerprint != after[path].fingerprint}
    assert changed == {"top.css", "middle.css", "leaf.css"}
    assert fingerprint.add("leaf.css", after["leaf.css"].fingerprint).encode() in after["middle.css"].data


CIRCLE = {"a.css": "@import 'b.css';a{b:url(x.png)}", "b.css": "@import 'c.css';", "c.css": "@import 'a.css';"}


def test_sheets_in_a_circle_are_named_together() -> None:
    found = rewritten(CIRCLE, {"x.png": A})
    assert len({sheet.fingerprint for sheet in found.values()}) == 3
    for path, following in (("a", "b"), ("b", "c"), ("c", "a")):
        name = fingerprint.add(f"{following}.css", found[f"{following}.css"].fingerprint)
        assert f"@import '{name}';" in found[f"{path}.css"].data.decode()


@pytest.mark.parametrize("changed", ["a.css", "b.css", "c.css"])
def test_any_change_in_a_circle_renames_all_of_it(changed: str) -> None:
    before = rewritten(CIRCLE, {"x.png": A})
    after = rewritten(CIRCLE | {changed: CIRCLE[changed] + " "}, {"x.png": A})
    assert not {sheet.fingerprint for sheet in before.values()} & {sheet.fingerprint for sheet in after.values()}


def test_what_a_circle_refers_to_renames_all_of_it() -> None:
    before, after = rewritten(CIRCLE, {"x.png": A}), rewritten(CIRCLE, {"x.png": B})
    assert not {sheet.fingerprint for sheet in before.values()} & {sheet.fingerprint for sheet in after.values()}


def test_a_sheet_may_refer_to_itself() -> None:
    sheet = rewritten({"a.css": "@import 'a.css';"}, {})["a.css"]
    assert sheet.data.decode() == f"@import 'a-{sheet.fingerprint}.css';"


def test_names_do_not_depend_on_where_the_reading_began() -> None:
    forward = rewritten(CIRCLE, {"x.png": A})
    backward = rewritten(dict(reversed(CIRCLE.items())), {"x.png": A})
    assert forward == backward


def test_faults_have_file_line_and_column() -> None:
    source = Source.read(FileStat("css/app.css", 1), b"a{}\n b{c:url(gone.png)} d{e:url(../../up.png)}")
    assert [(each.where, each.message) for each in graph.faults(source, lambda path: None)] == [
        ("css/app.css:2:6", "url of 'gone.png' means 'css/gone.png', which is not there"),
        ("css/app.css:2:25", "url of '../../up.png' leads out of the mount"),
    ]
