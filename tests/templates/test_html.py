"""No name and no value can end a tag early."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.errors import SettingsError
from assetstore.templates import html


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_attributes_are_spelled_as_html_does() -> None:
    given = {
        "href": "/a b",
        "data_turbo_track": "reload",
        "as_": "font",
        "defer": True,
        "async": False,
        "nonce": None,
        "n": 3,
    }
    assert html.link(given) == '<link href="/a b" data-turbo-track="reload" as="font" defer n="3">'


@given(st.text())
def test_no_value_ends_its_attribute(value: str) -> None:
    parsed = Tags(html.link({"href": value, "rel": "x"}))
    readable = value.replace("\r\n", "\n").replace("\r", "\n") if "\r" in value else value
    assert [tag for tag, _ in parsed.found] == ["link"]
    assert parsed.found[0][1] in ({"href": value, "rel": "x"}, {"href": readable, "rel": "x"})


@pytest.mark.parametrize("name", ["on click", "a=b", '"', "", "_", "x>", "1a"])
def test_no_name_can_be_more_than_a_name(name: str) -> None:
    with pytest.raises(SettingsError):
        html.attributes({name: "x"})


@given(st.recursive(st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_in_a_script_cannot_end_it_and_stays_the_same_value(value: object) -> None:
    text = html.json_for_script(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()
    assert json.loads(text) == value


def test_hostile_text_stays_text() -> None:
    script = html.script({"type": "importmap"}, html.json_for_script({"</script><script>alert(1)": "<!--<script>]]>"}))
    parsed = Tags(script)
    assert [tag for tag, _ in parsed.found] == ["script"]
    assert json.loads(parsed.text) == {"</script><script>alert(1)": "<!--<script>]]>"}


def test_json_does_not_depend_on_the_order_of_keys() -> None:
    assert html.json_for_script({"a": 1, "b": 2}) == html.json_for_script({"b": 2, "a": 1})
