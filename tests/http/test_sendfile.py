from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore import AssetStore
from assetstore.backends.base import FileStat
from assetstore.errors import SettingsError
from assetstore.http.representation import AssetHeaders
from assetstore.http.request import AssetRequest
from assetstore.http.response import ByteSpan, Response
from assetstore.http.sendfile import DIALECTS, Sendfile, may_go_by_path


def told(who: Sendfile, path: str) -> bytes | None:
    """What *who* is told of a file."""
    headers = who.headers((), path)
    return None if headers is None else headers[-1][1]


def offload(header: str, server: str = "", places: dict[str, str] | None = None) -> Sendfile:
    found = Sendfile.parse(header, server, places)
    assert found is not None
    return found


REPRESENTATION = AssetHeaders("text/css", "no-cache", {}).represent(10, "tag", varies=False)
WHOLE = Response(200, REPRESENTATION.full, (ByteSpan(0, 10),))
PART = Response(206, REPRESENTATION.partial, (ByteSpan(2, 4),))


@dataclass
class OnDisk:
    """An opened file, as far as a proxy is told of it."""

    real_path: str | None = "/srv/site/a.css"
    stat: FileStat = FileStat("a.css", 10)


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
def test_each_proxy_is_told_in_its_own_spelling(who: Sendfile, path: str, value: bytes | None) -> None:
    assert told(who, path) == value


@pytest.mark.parametrize("who", [NGINX, APACHE, LIGHTTPD, EITHER], ids=["nginx", "apache", "lighttpd", "either"])
@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x7f"])
def test_control_characters_are_never_told(who: Sendfile, character: str) -> None:
    assert told(who, f"/srv/site/a{character}b.css") is None


CODED = ((b"content-encoding", b"br"), (b"content-length", b"10"), (b"cache-control", b"immutable"))


def test_apache_is_told_the_content_coding_apart_because_it_deletes_it() -> None:
    headers = dict(APACHE.headers(CODED, "/srv/a.js.br") or ())
    assert headers[b"x-offload-content-encoding"] == b"br"
    assert b"content-encoding" not in headers


def test_nginx_is_told_the_cache_policy_apart_because_it_keeps_it_on_errors() -> None:
    headers = dict(NGINX.headers(CODED, "/srv/site/a.js.br") or ())
    assert headers[b"x-offload-cache-control"] == b"immutable"
    assert b"cache-control" not in headers


def test_the_body_is_empty_and_says_so() -> None:
    for who in (NGINX, APACHE, LIGHTTPD):
        assert [value for name, value in who.headers(CODED, "/srv/site/a") or () if name == b"content-length"] == [b"0"]


def test_a_coded_file_goes_to_no_proxy_that_might_be_apache() -> None:
    assert EITHER.headers(CODED, "/srv/a.js.br") is None


@pytest.mark.parametrize(
    ("answer", "ranged"),
    [
        pytest.param(WHOLE, False, id="a whole file"),
        pytest.param(PART, True, id="one part, which the proxy cuts"),
    ],
)
def test_a_file_of_this_disk_is_left_to_the_proxy_from_a_200(answer: Response, ranged: bool) -> None:
    left = NGINX.respond(answer, AssetRequest(has_range=ranged), REPRESENTATION, OnDisk())  # type: ignore[arg-type]
    assert (left.status, left.body) == (200, ())
    assert left.headers[-1] == (b"x-accel-redirect", b"/_accel/a.css")
    assert (b"etag", b'"tag"') in left.headers


@pytest.mark.parametrize(
    ("answer", "ranged", "opened"),
    [
        pytest.param(Response(304, REPRESENTATION.not_modified), False, OnDisk(), id="a 304"),
        pytest.param(Response(404, (), (b"Not Found",)), False, OnDisk(), id="a 404"),
        pytest.param(Response(412, (), (b"no",)), False, OnDisk(), id="a 412"),
        pytest.param(Response(416, (), (b"no",)), True, OnDisk(), id="a 416"),
        pytest.param(Response(200, REPRESENTATION.full, (b"coded",)), False, None, id="a variant in memory"),
        pytest.param(Response(200, REPRESENTATION.full), False, None, id="a HEAD"),
        pytest.param(
            Response(206, (), (b"--x", ByteSpan(0, 1), b"--x", ByteSpan(5, 6))), True, OnDisk(), id="several parts"
        ),
        pytest.param(WHOLE, True, OnDisk(), id="a Range header that is to be ignored"),
        pytest.param(WHOLE, False, OnDisk(None), id="a file that is not on this disk"),
        pytest.param(WHOLE, False, object(), id="an object of a bucket"),
        pytest.param(WHOLE, False, OnDisk("/elsewhere/a.css"), id="a file that the map does not cover"),
    ],
)
def test_everything_else_is_sent_as_without_a_proxy(answer: Response, ranged: bool, opened: Any) -> None:
    assert NGINX.respond(answer, AssetRequest(has_range=ranged), REPRESENTATION, opened) is answer


IMMUTABLE = ((b"cache-control", b"max-age=31536000, public, immutable"),)
NAMED = "a-" + "0" * 64 + ".css"


def test_what_is_immutable_goes_by_a_path_only_where_no_other_bytes_can_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.css"
    file.write_text("a{}")
    assert may_go_by_path(REPRESENTATION.full, str(file), named=False), "a plain file is asked for again"
    assert not may_go_by_path(IMMUTABLE, str(file), named=False)
    assert may_go_by_path(IMMUTABLE, str(tmp_path / NAMED), named=True), "its name says which bytes it has"
    facts = os.statvfs(file)
    read_only = os.statvfs_result([*facts[:8], facts.f_flag | os.ST_RDONLY, facts.f_namemax])
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    assert may_go_by_path(IMMUTABLE, str(file), named=False), "nobody can write there"


def test_what_is_gone_does_not_go_by_its_path(tmp_path: Path) -> None:
    assert not may_go_by_path(IMMUTABLE, str(tmp_path / "a.css"), named=False)


def test_an_immutable_file_that_may_be_replaced_is_sent_by_the_application_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    who = offload("X-Sendfile", "apache").for_mount(AssetStore().static("/assets/", root=tmp_path, name="assets"))
    chosen = (
        AssetHeaders("text/css", "public, immutable", ()).represent(10, "tag", varies=False)._replace(by_path=False)
    )
    response = Response(200, chosen.full, (ByteSpan(0, 10),))
    opened: Any = OnDisk(str(tmp_path / "a.css"))
    with caplog.at_level("INFO", "assetstore"):
        assert [who.respond(response, AssetRequest(), chosen, opened) for _ in range(2)] == [response, response]
    assert [str(tmp_path) in record.message for record in caplog.records] == [True]
    named: Any = OnDisk(str(tmp_path / NAMED))
    assert who.respond(response, AssetRequest(), chosen._replace(by_path=True), named).body == ()


def test_no_header_means_no_offload() -> None:
    assert Sendfile.parse("") is None


def test_the_longest_directory_of_the_map_wins() -> None:
    who = offload("X-Accel-Redirect", places={"/srv": "/_all/", "/srv/site": "/_site/"})
    assert told(who, "/srv/site/a.css") == b"/_site/a.css"
    assert told(who, "/srv/b.css") == b"/_all/b.css"


def test_a_mount_has_a_place_of_its_own_unless_the_map_covers_it(tmp_path: Path) -> None:
    root = os.path.realpath(tmp_path)
    mount = AssetStore().static("/assets/", root=tmp_path, name="my assets")
    plain = offload("X-Accel-Redirect").for_mount(mount)
    assert told(plain, f"{root}/a.css") == b"/_accel/my%20assets/a.css"
    mapped = offload("X-Accel-Redirect", places={str(tmp_path): "/x/"}).for_mount(mount)
    assert told(mapped, f"{root}/a.css") == b"/x/a.css"


def test_a_map_may_name_a_symlink_to_the_directory(tmp_path: Path) -> None:
    (tmp_path / "release-7").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "release-7")
    who = offload("X-Accel-Redirect", places={str(tmp_path / "current"): "/_accel/"})
    for release in ("release-7", "release-8"):
        (tmp_path / release).mkdir(exist_ok=True)
        (tmp_path / "next").symlink_to(tmp_path / release)
        os.replace(tmp_path / "next", tmp_path / "current")
        real = os.path.realpath(tmp_path / release)
        assert told(who, f"{real}/a.css") == b"/_accel/a.css"


def test_what_may_be_kept_for_ever_is_not_named_through_a_link_that_may_move(tmp_path: Path) -> None:
    (tmp_path / "release-7").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "release-7")
    real, immutable = os.path.realpath(tmp_path / "release-7"), ((b"cache-control", b"max-age=31536000, immutable"),)
    assert (
        offload("X-Accel-Redirect", places={str(tmp_path / "current"): "/a/"}).headers(immutable, f"{real}/a") is None
    )
    exact = offload("X-Accel-Redirect", places={str(tmp_path / "release-7"): "/a/"}).headers(immutable, f"{real}/a")
    assert exact is not None
    assert dict(exact)[b"x-accel-redirect"] == b"/a/a"


@pytest.mark.parametrize(
    ("header", "server", "places", "told"),
    [
        ("X-Accel-Redirect", "apache", None, "give 'nginx' or 'caddy'"),
        ("X-Sendfile", "nginx", None, "give 'apache' or 'lighttpd'"),
        ("X-Sendfile", "apache", {"/srv": "/x/"}, "remove the map"),
        ("X-Accel-Redirect", "", {"/srv": "_accel"}, "a slash at both ends"),
        ("X-Accel-Redirect", "", {"/srv": "/a\r\nset-cookie: x/"}, "no blanks"),
        ("", "apache", None, "STATIC_X_SENDFILE_HEADER"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_wiring(
    header: str, server: str, places: dict[str, str] | None, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        Sendfile.parse(header, server, places)


def test_every_dialect_names_the_header_that_it_stands_under() -> None:
    assert all(dialect.header == header for (header, _), dialect in DIALECTS.items())


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_what_a_proxy_decodes_is_the_path(name: str) -> None:
    for who in (NGINX, LIGHTTPD):
        value = told(who, f"/srv/site/{name}")
        assert value is not None
        assert unquote_to_bytes(value).endswith(f"/{name}".encode())
    assert told(APACHE, f"/srv/site/{name}") in {None, f"/srv/site/{name}".encode()}
