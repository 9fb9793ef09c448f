"""Where a mount's URLs point, and where the origin answers."""

from __future__ import annotations

import pytest

from assetstore.errors import SettingsError
from assetstore.mounts.urls import MountUrl


@pytest.mark.parametrize(
    ("url", "base", "prefixes"),
    [
        pytest.param("/assets/", "/assets/", ("/assets/",), id="a path prefix"),
        pytest.param("/assets", "/assets/", ("/assets/",), id="a missing closing slash is repaired"),
        pytest.param("assets", "/assets/", ("/assets/",), id="so is a missing first one"),
        pytest.param("/", "/", ("/",), id="the root"),
        pytest.param(
            "https://cdn.example.com/",
            "https://cdn.example.com/",
            ("/assets/", "/"),
            id="a CDN that pulls from the root",
        ),
        pytest.param(
            "https://cdn.example.com", "https://cdn.example.com/", ("/assets/", "/"), id="the same without its slash"
        ),
        pytest.param(
            "https://cdn.example.com/static",
            "https://cdn.example.com/static/",
            ("/static/", "/assets/"),
            id="a CDN that pulls from a path",
        ),
        pytest.param(
            "https://cdn.example.com/assets/",
            "https://cdn.example.com/assets/",
            ("/assets/",),
            id="the origin's path and the CDN's may be one",
        ),
        pytest.param(
            "http://[::1]:8080/", "http://[::1]:8080/", ("/assets/", "/"), id="an address with a port is a host too"
        ),
    ],
)
def test_a_url_becomes_a_base_and_the_places_of_the_origin(url: str, base: str, prefixes: tuple[str, ...]) -> None:
    found = MountUrl.parse(url)
    assert (found.base, found.prefixes) == (base, prefixes)


def test_a_host_makes_urls_that_name_it() -> None:
    found = MountUrl.parse("/assets/", host="Static.Example.com")
    assert found.join("app.css") == "//static.example.com/assets/app.css"
    assert found.prefixes == ("/assets/",)
    assert found.host == "static.example.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("/assets/", "/sub/assets/app.css", id="stands before a path"),
        pytest.param(
            "https://cdn.example.com/", "https://cdn.example.com/app.css", id="has no place in an absolute URL"
        ),
    ],
)
def test_the_root_path(url: str, expected: str) -> None:
    assert MountUrl.parse(url).join("app.css", "/sub") == expected


@pytest.mark.parametrize(
    "url",
    ["", "  ", "ftp://cdn.example.com/", "https://", "https:///x", "https://cdn.example.com/?v=1", "https://a b/",
     "https://user:secret@cdn.example.com/", "https://cdn.example.com:99999/", "//cdn.example.com/", "/a//b/",
     "/../", "/a?b", "/a#b", "/a b/", "/a\\b/", "/ü/", "/a%20b/", "/a\x00", 'https://cdn.example.com/"onload="', None, 7],
)  # fmt: skip
def test_a_malformed_url_is_an_error_that_shows_a_good_one(url: str) -> None:
    with pytest.raises(SettingsError, match=r"https://cdn\.example\.com/|/assets/"):
        MountUrl.parse(url)


def test_a_full_url_and_a_host_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match="leave out host="):
        MountUrl.parse("https://cdn.example.com/", host="static.example.com")


@pytest.mark.parametrize("host", ["", "a b", "http://x", "x/", "-", 3])
def test_a_malformed_host_is_an_error_that_shows_a_good_one(host: str) -> None:
    with pytest.raises(SettingsError, match=r"static\.example\.com"):
        MountUrl.parse("/assets/", host=host)
