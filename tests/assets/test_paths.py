"""What a legal logical path is."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets import paths
from assetstore.errors import UnsafePath


@pytest.mark.parametrize("path", ["app.css", "css/app.css", "a b/ü#?%.css", "a/…", "@scope/x+y,z.js", "日本/語.js"])
def test_a_legal_path_comes_back_as_it_is(path: str) -> None:
    assert paths.clean(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "/css/app.css", "../x", "a/../b", "a/./b", ".", "..", "a//b", "a/", "a\\b", "..\\x", "a\x00b", "a\nb", "a\x7f",
     "C:/x", "c:x", "//host/x", ".env", "a/.git/config", "\ud800", "x" * 1025, "ü" * 513],
)  # fmt: skip
def test_an_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        paths.clean(path)
    assert not paths.is_clean(path)


def test_a_hidden_file_is_legal_only_where_it_is_asked_for() -> None:
    assert paths.clean(".assetstore/current.json", hidden=True) == ".assetstore/current.json"


def test_the_error_shows_the_right_spelling() -> None:
    with pytest.raises(UnsafePath, match="relative to the root: 'css/app.css'"):
        paths.clean("/css/app.css")


@given(st.text())
def test_whatever_passes_stays_below_the_root(path: str) -> None:
    if paths.is_clean(path):
        segments = path.split("/")
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(segments)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_url_can_be_read_back(path: str) -> None:
    url = paths.to_url(path)
    assert unquote(url, errors="strict") == path
    assert not set(url) & set(" #?\"'<>&\\")


@pytest.mark.parametrize(
    ("path", "ext"), [("app.min.JS", ".js"), ("LICENSE", ""), (".env", ""), ("a.b/c", ""), ("x.tar.gz", ".gz")]
)
def test_the_last_extension_counts(path: str, ext: str) -> None:
    assert paths.extension(path) == ext
