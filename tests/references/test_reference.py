"""A reference means one asset, or says why it means none."""

from __future__ import annotations

import posixpath
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets.paths import is_clean, to_url
from assetstore.references.reference import Meaning, OutsideMount, is_relative, relative, target


@pytest.mark.parametrize(
    ("owner", "url", "expected"),
    [
        pytest.param("css/app.css", "logo.png", Meaning("css/logo.png"), id="a sibling"),
        pytest.param("css/app.css", "./logo.png", Meaning("css/logo.png"), id="a sibling, dotted"),
        pytest.param("css/app.css", "../img/a.png", Meaning("img/a.png"), id="a cousin"),
        pytest.param("app.css", "img/a.png", Meaning("img/a.png"), id="from the root"),
        pytest.param("css/app.css", "f.eot?#iefix", Meaning("css/f.eot", "?#iefix"), id="query and fragment are kept"),
        pytest.param(
            "css/app.css", "f.svg#a?b", Meaning("css/f.svg", "#a?b"), id="a fragment may hold a question mark"
        ),
        pytest.param(
            "css/app.css", "f.svg?x#y", Meaning("css/f.svg", "?x#y"), id="a query ends where the fragment begins"
        ),
        pytest.param("css/app.css", "my%20logo%2B.png", Meaning("css/my logo+.png"), id="percent signs are undone"),
        pytest.param("css/app.css", "  a.png\n", Meaning("css/a.png"), id="blanks around it are stripped"),
        pytest.param("css/app.css", "a\n.png", Meaning("css/a.png"), id="line breaks within are removed"),
        pytest.param("css/app.css", "database.png", Meaning("css/database.png"), id="data is only a name here"),
        pytest.param("css/app.css", "httpd.png", Meaning("css/httpd.png"), id="http is only a name here"),
    ],
)
def test_a_relative_url_means_one_asset(owner: str, url: str, expected: Meaning) -> None:
    assert is_relative(url)
    assert target(owner, url) == expected


@pytest.mark.parametrize("url", ["../../x.png", "../x/", "../.env", "a%00.png", "a\\b.png", "..", "."])
def test_what_leaves_the_mount_or_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(OutsideMount):
        target("css/app.css", url)


@pytest.mark.parametrize(
    "url",
    ["", "  ", "#frag", "?q", "/abs.png", "\\abs.png", "//host/a.png", "https://h/a", "data:,x", "DATA:,x", "blob:x"],
)
def test_other_urls_are_not_relative(url: str) -> None:
    assert not is_relative(url)


@pytest.mark.parametrize(
    ("owner", "path", "expected"),
    [
        ("css/app.css", "img/a-1.png", "../img/a-1.png"),
        ("css/app.css", "css/a.png", "a.png"),
        ("app.css", "img/a b.png", "img/a%20b.png"),
        ("css/app.css", "css/c:d.png", "c%3Ad.png"),
    ],
)
def test_a_relative_url_is_the_shortest(owner: str, path: str, expected: str) -> None:
    assert relative(owner, path) == expected


logical_paths = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4).map("/".join).filter(is_clean)


@given(owner=logical_paths, path=logical_paths)
def test_relative_and_target_are_a_pair(owner: str, path: str) -> None:
    assert target(owner, relative(owner, path)) == Meaning(path)


@given(owner=logical_paths, path=logical_paths)
def test_a_browser_resolves_a_relative_url_alike(owner: str, path: str) -> None:
    base = f"https://cdn.example.com/assets/{to_url(owner)}"
    assert urlsplit(urljoin(base, relative(owner, path))).path == f"/assets/{to_url(path)}"


@given(st.text(max_size=40))
def test_no_url_breaks_the_reading(url: str) -> None:
    if is_relative(url):
        try:
            found = target("css/app.css", url)
        except OutsideMount:
            return
        assert posixpath.normpath(found.path) == found.path
