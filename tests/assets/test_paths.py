"""What a legal logical path is."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets import paths
from assetstore.errors import SettingsError, UnsafePath


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


def test_a_hidden_file_is_legal_only_where_it_was_named() -> None:
    assert paths.clean(".assetstore/current.json", hidden=True) == ".assetstore/current.json"
    assert paths.is_clean(".foo/bar.txt", hidden=paths.hidden_names([".foo"]))
    assert not paths.is_clean(".bar/foo.txt", hidden=paths.hidden_names([".foo"]))
    assert not paths.is_clean(".well-known/x", hidden=False)


def test_well_known_is_legal_and_what_is_hidden_below_it_is_not() -> None:
    """RFC 8615."""
    assert paths.is_clean(".well-known/security.txt")
    assert paths.is_clean(".well-known/security.txt", hidden=paths.hidden_names(()))
    assert not paths.is_clean(".well-known/.htpasswd")
    assert not paths.is_clean(".well-known-not/x")


@pytest.mark.parametrize("given", ["foo", ["foo"], [""], ["."], [".."], [".a/b"], [".a\\b"], 3, None, [3], [".\n"]])
def test_hidden_names_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(SettingsError, match="leading dot"):
        paths.hidden_names(given)


def test_the_length_limit_is_in_bytes() -> None:
    assert paths.clean("ü" * 512) == "ü" * 512
    assert paths.clean("x" * 1089, longest=1089)
    with pytest.raises(UnsafePath, match="longer than 1024 bytes"):
        paths.clean("x" * 1025)


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
