"""What the import map setting may say is checked when it is read."""

from __future__ import annotations

from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import SettingsError
from assetstore.templates.importmap import ImportMap, Pin, PinAll, Scope
from assetstore.templates.links import File, Verbatim

DIGEST = "sha384-" + "A" * 64


def test_the_short_form_maps_specifiers_to_files() -> None:
    found = ImportMap.parse(
        {"@hotwired/turbo": "js/turbo.js", "imports": "js/imports.js", "lodash": "https://esm.sh/lodash"}
    )
    assert found.pins == (
        Pin("@hotwired/turbo", File(None, "js/turbo.js")),
        Pin("imports", File(None, "js/imports.js")),
        Pin("lodash", Verbatim("https://esm.sh/lodash")),
    )


def test_the_long_form_has_sections() -> None:
    found = ImportMap.parse(
        {
            "imports": {"app": "media:js/app.js", "lib/": "js/lib/", "x": {"url": "https://h/x", "integrity": DIGEST}},
            "pin_all": {"controllers": "js/controllers"},
            "entries": ["js/app.js", "media:js/other.js"],
            "scopes": {"js/admin/": {"turbo": "js/turbo-7.js"}, "https://h/": {"a": "js/a.js"}},
            "integrity": False,
        }
    )
    assert found == ImportMap(
        pins=(
            Pin("app", File("media", "js/app.js")),
            Pin("lib/", File(None, "js/lib/")),
            Pin("x", Verbatim("https://h/x"), DIGEST),
        ),
        folders=(PinAll("controllers/", File(None, "js/controllers/")),),
        entries=(File(None, "js/app.js"), File("media", "js/other.js")),
        scopes=(
            Scope(File(None, "js/admin/"), (Pin("turbo", File(None, "js/turbo-7.js")),)),
            Scope(Verbatim("https://h/"), (Pin("a", File(None, "js/a.js")),)),
        ),
        integrity=False,
    )


def test_integrity_of_foreign_urls_may_be_given() -> None:
    found = ImportMap.parse({"integrity": {"https://esm.sh/x": DIGEST}})
    assert found.digests == {"https://esm.sh/x": DIGEST}
    assert found.integrity is None


def test_no_setting_is_an_empty_map() -> None:
    assert ImportMap.parse({}) == ImportMap()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param({"": "js/a.js"}, "no specifier", id="an empty key"),
        pytest.param({" a": "js/a.js"}, "no specifier", id="a key with blanks around it"),
        pytest.param({1: "js/a.js"}, "no specifier", id="a key that is no text"),
        pytest.param({"./a": "js/a.js"}, "bare name, as 'a'", id="a relative key"),
        pytest.param({"../a": "js/a.js"}, "bare name, as 'a'", id="a key that climbs"),
        pytest.param({"a": None}, "names no file", id="no value"),
        pytest.param({"a": 1}, "names no file", id="a value that is no text"),
        pytest.param({"a": ""}, "names no file", id="an empty value"),
        pytest.param({"a": "./js/a.js"}, "as 'js/a.js'", id="a relative value"),
        pytest.param({"a": "js/../../a.js"}, "could leave the root", id="a value that leaves the mount"),
        pytest.param({"a/": "js/a.js"}, "end in '/'", id="a folder that means a file"),
        pytest.param({"a": "js/a/"}, "end in '/'", id="a file that means a folder"),
        pytest.param({"a": {"file": "js/a.js"}}, "a good one is", id="a mapping without its mount"),
        pytest.param(
            {"a": {"url": "https://h/a", "integrity": "sha384-x"}}, "64 characters of base64", id="bad integrity"
        ),
        pytest.param(
            {"a": {"url": "https://h/a", "integrity": "a" * 96}}, "64 characters of base64", id="hex integrity"
        ),
        pytest.param(
            {"imports": {"a": "js/a.js"}, "b": "js/b.js"}, "put pins under 'imports'", id="both forms at once"
        ),
        pytest.param({"imports": ["js/a.js"]}, "no mapping", id="imports that are a list"),
        pytest.param({"scopes": {"js/": ["a"]}}, "no mapping", id="a scope that is a list"),
        pytest.param({"scopes": {"js/": {"./a": "js/a.js"}}}, "bare name", id="a relative key in a scope"),
        pytest.param({"entries": {"js/a.js": 1}}, "no list", id="entries that are a mapping"),
        pytest.param({"entries": ["https://h/a.js"]}, "no file of a mount", id="an entry that is not ours"),
        pytest.param({"entries": ["js/"]}, "no file of a mount", id="an entry that is a folder"),
        pytest.param({"pin_all": {"a": "https://h/"}}, "no folder of a mount", id="a foreign folder"),
        pytest.param({"pin_all": {"a": 1}}, "names no file", id="a folder that is no text"),
        pytest.param({"integrity": {"bare": DIGEST}}, "no browser understands", id="integrity of a bare specifier"),
        pytest.param(
            {"integrity": {"https://h/a": "md5-x"}}, "no browser understands", id="integrity of an unknown kind"
        ),
        pytest.param({"integrity": 1}, "give True, False", id="integrity that is a number"),
    ],
)
def test_a_mistake_is_found_at_wiring_and_says_what_is_good(setting: dict[Any, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        AssetStore(IMPORT_MAP=setting)
    assert said in str(raised.value)
