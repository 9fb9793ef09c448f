"""A file is written in one way everywhere, and a mistake is named where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.errors import SettingsError, UnsafePath
from assetstore.templates.links import Address, File, Verbatim, parse_address, read_address


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("js/app.js", File(None, "js/app.js")),
        ("js/lib/", File(None, "js/lib/")),
        ("media:js/app.js", File("media", "js/app.js")),
        ({"mount": "media", "file": "js/app.js"}, File("media", "js/app.js")),
        ("js/a:b.js", File(None, "js/a:b.js")),
        ("/vendor/x.js", Verbatim("/vendor/x.js")),
        ("//cdn.example.com/x.js", Verbatim("//cdn.example.com/x.js")),
        ("https://esm.sh/lodash-es@4.17.21", Verbatim("https://esm.sh/lodash-es@4.17.21")),
        ({"url": "https://esm.sh/x"}, Verbatim("https://esm.sh/x")),
        ("data:text/javascript,", Verbatim("data:text/javascript,")),
    ],
)
def test_an_address_means_one_thing(value: object, expected: Address) -> None:
    assert read_address(value, "here") == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "names no file"),
        (None, "names no file"),
        (7, "names no file"),
        (["js/app.js"], "names no file"),
        ("./js/app.js", "as 'js/app.js'"),
        ("../app.js", "as 'app.js'"),
        ("js/../../x.js", "could leave the root"),
        ("js//x.js", "empty segment"),
        ("media:", "empty"),
        ("js\\app.js", "backslash"),
        ({"mount": "media"}, "a good one is"),
        ({"url": "x.js"}, "a good one is"),
        ({"mount": 1, "file": "x"}, "a good one is"),
    ],
)
def test_a_mistake_is_named_with_its_place(value: object, said: str) -> None:
    with pytest.raises(SettingsError, match="^here: ") as raised:
        read_address(value, "here")
    assert said in str(raised.value)


@given(st.text())
def test_no_text_is_more_than_an_address_or_unsafe(text: str) -> None:
    try:
        parse_address(text)
    except UnsafePath:
        return
