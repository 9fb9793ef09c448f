from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.errors import SettingsError
from assetstore.http.offload import DIALECTS, Offload


def offload(header: str, server: str = "", places: dict[str, str] | None = None) -> Offload:
    found = Offload.parse(header, server, places)
    assert found is not None
    return found


NGINX = offload("X-Accel-Redirect", "nginx", {"/srv/site": "/_accel/"})
APACHE = offload("X-Sendfile", "apache")
LIGHTTPD = offload("X-Sendfile", "lighttpd")
EITHER = offload("X-Sendfile")


@pytest.mark.parametrize(
    ("who", "path", "value"),
    [
        pytest.param(NGINX, "/srv/site/a.css", b"/_accel/a.css", id="nginx is told its own URI"),
        pytest.param(NGINX, "/srv/site/a b?.css", b"/_accel/a%20b%3F.css", id="which is quoted"),
        pytest.param(NGINX, "/srv/site/a%20b.css", b"/_accel/a%2520b.css", id="a percent sign most of all"),
        pytest.param(NGINX, "/srv/site/日.css", b"/_accel/%E6%97%A5.css", id="and what is not ASCII"),
        pytest.param(NGINX, "/srv/sites/a.css", None, id="a directory that the map does not hold is not its prefix"),
        pytest.param(APACHE, "/srv/site/a b?.css", b"/srv/site/a b?.css", id="Apache is told the path as it is"),
        pytest.param(APACHE, "/srv/site/日.css", "/srv/site/日.css".encode(), id="in the bytes of the disk"),
        pytest.param(APACHE, "/srv/site/a.css ", None, id="a blank at the end would be lost on the way"),
        pytest.param(LIGHTTPD, "/srv/site/a b%.css", b"/srv/site/a%20b%25.css", id="Lighttpd is told it quoted"),
        pytest.param(LIGHTTPD, os.fsdecode(b"/srv/\xff.css"), None, id="and must be told UTF-8"),
        pytest.param(EITHER, "/srv/site/a.css", b"/srv/site/a.css", id="where both read alike either may be told"),
        pytest.param(EITHER, "/srv/site/a b.css", None, id="where they differ neither is"),
    ],
)
def test_each_proxy_is_told_in_its_own_spelling(who: Offload, path: str, value: bytes | None) -> None:
    told = who.headers(path)
    assert (told[0][1] if told else None) == value


@pytest.mark.parametrize("who", [NGINX, APACHE, LIGHTTPD, EITHER], ids=["nginx", "apache", "lighttpd", "either"])
@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x7f"])
def test_control_characters_are_never_told(who: Offload, character: str) -> None:
    assert who.headers(f"/srv/site/a{character}b.css") is None


def test_apache_is_told_the_content_coding_apart_because_it_deletes_it() -> None:
    assert APACHE.headers("/srv/a.js.br", "br") == [(b"x-sendfile", b"/srv/a.js.br"), (b"x-sendfile-encoding", b"br")]


def test_nginx_needs_no_second_header_for_a_content_coding() -> None:
    assert NGINX.headers("/srv/site/a.js.br", "br") == [(b"x-accel-redirect", b"/_accel/a.js.br")]


def test_a_coded_file_goes_to_no_proxy_that_might_be_apache() -> None:
    assert EITHER.headers("/srv/a.js.br", "br") is None


def test_no_header_means_no_offload() -> None:
    assert Offload.parse("") is None


def test_the_longest_directory_of_the_map_wins() -> None:
    who = offload("X-Accel-Redirect", places={"/srv": "/_all/", "/srv/site": "/_site/"})
    assert who.headers("/srv/site/a.css") == [(b"x-accel-redirect", b"/_site/a.css")]
    assert who.headers("/srv/b.css") == [(b"x-accel-redirect", b"/_all/b.css")]


def test_a_mount_has_a_place_of_its_own_unless_the_map_covers_it(tmp_path: Path) -> None:
    root = os.path.realpath(tmp_path)
    plain = offload("X-Accel-Redirect").with_mount("my assets", str(tmp_path))
    assert plain.headers(f"{root}/a.css") == [(b"x-accel-redirect", b"/_accel/my%20assets/a.css")]
    mapped = offload("X-Accel-Redirect", places={str(tmp_path): "/x/"}).with_mount("assets", str(tmp_path))
    assert mapped.headers(f"{root}/a.css") == [(b"x-accel-redirect", b"/x/a.css")]


def test_a_map_may_name_a_symlink_to_the_directory(tmp_path: Path) -> None:
    (tmp_path / "release-7").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "release-7")
    who = offload("X-Accel-Redirect", places={str(tmp_path / "current"): "/_accel/"})
    real = os.path.realpath(tmp_path / "release-7")
    assert who.headers(f"{real}/a.css") == [(b"x-accel-redirect", b"/_accel/a.css")]


@pytest.mark.parametrize(
    ("header", "server", "places", "told"),
    [
        ("X-Accel-Redirect", "apache", None, "give 'nginx' or 'caddy'"),
        ("X-Sendfile", "nginx", None, "give 'apache' or 'lighttpd'"),
        ("X-Sendfile", "apache", {"/srv": "/x/"}, "remove the map"),
        ("X-Accel-Redirect", "", {"/srv": "_accel"}, "a slash at both ends"),
        ("", "apache", None, "STATIC_X_SENDFILE_HEADER"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_wiring(
    header: str, server: str, places: dict[str, str] | None, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        Offload.parse(header, server, places)


def test_every_dialect_names_the_header_that_it_stands_under() -> None:
    assert all(dialect.header == header for (header, _), dialect in DIALECTS.items())


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_what_a_proxy_decodes_is_the_path(name: str) -> None:
    for who in (NGINX, LIGHTTPD):
        told = who.headers(f"/srv/site/{name}")
        assert told is not None
        assert unquote_to_bytes(told[0][1]).endswith(f"/{name}".encode())
    told = APACHE.headers(f"/srv/site/{name}")
    assert told is None or told[0][1] == f"/srv/site/{name}".encode()
