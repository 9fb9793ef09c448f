"""Whole requests through the ASGI application of one mount."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from asgi.matrix import MATRIX, fill
from asgi.tree import DATA, FINGERPRINT, MODIFIED, MODIFIED_NS, STYLE, Ask, put
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span
from assetstore.backends.local.backend import LocalBackend
from assetstore.errors import (
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    SettingsError,
    VersionChanged,
)
from assetstore.names import fingerprint

IMMUTABLE = "max-age=31536000, public, immutable"
REVALIDATE = "max-age=0, public, must-revalidate"
SIZE = len(DATA)
#: A sibling as a build leaves it: other bytes than are made here.
BY_HAND = brotli.compress(STYLE, quality=1)
ETAG = f'"{SIZE:x}-{MODIFIED_NS:x}"'
AT, BEFORE, AFTER = (formatdate(MODIFIED + offset, usegmt=True) for offset in (0, -1, 1))


def test_a_plain_file_has_every_header_that_the_guide_asks_for(get: Ask) -> None:
    reply = get("data.bin")
    assert (reply.status, reply.body) == (200, DATA)
    assert reply.headers == {
        "content-type": "application/octet-stream",
        "content-length": str(SIZE),
        "etag": ETAG,
        "last-modified": AT,
        "cache-control": REVALIDATE,
        "accept-ranges": "bytes",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": (
            "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"
        ),
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize(("headers", "status", "body"), MATRIX)
@pytest.mark.parametrize("root", ["a directory", "an fsspec filesystem"])
def test_conditions_and_ranges(
    serve: Callable[..., Ask], tree: Path, root: str, headers: dict[str, str], status: int, body: bytes | None
) -> None:
    ask = serve(tree if root == "a directory" else f"file://{tree}")
    reply = ask("data.bin", headers=fill(headers, ask("data.bin")))
    assert reply.status == status
    assert body is None or reply.body == body
    if status == 416:
        assert reply.headers["content-range"] == f"bytes */{SIZE}"
    if status == 304:
        assert {"etag", "cache-control", "access-control-allow-origin"} <= set(reply.headers)
        assert "content-length" not in reply.headers


@pytest.mark.parametrize("headers", [row.values[0] for row in MATRIX if "Range" not in row.values[0]])
def test_head_is_get_without_the_body(get: Ask, headers: dict[str, str]) -> None:
    headers = fill(headers, get("data.bin"))
    head, whole = get("data.bin", "HEAD", headers), get("data.bin", "GET", headers)
    assert (head.status, head.headers) == (whole.status, whole.headers)


@pytest.mark.parametrize("range_", ["bytes=0-1", "bytes=99999-"])
def test_head_ignores_range(get: Ask, range_: str) -> None:
    reply = get("data.bin", "HEAD", {"Range": range_})
    assert (reply.status, reply.headers["content-length"]) == (200, str(SIZE))
    assert "content-range" not in reply.headers


def test_a_part_says_where_it_belongs(get: Ask) -> None:
    headers = get("data.bin", headers={"Range": "bytes=2-5"}).headers
    assert headers["content-range"] == f"bytes 2-5/{SIZE}"
    assert headers["content-length"] == "4"
    assert headers["etag"] == ETAG


def test_several_ranges_are_multipart(get: Ask) -> None:
    reply = get("data.bin", headers={"Range": "bytes=0-1,5-6,-2"})
    found = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-z]+)", reply.headers["content-type"])
    assert reply.status == 206
    assert found is not None
    assert "content-range" not in reply.headers
    parts = [
        f"--{found[1]}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Range: bytes {start}-{stop - 1}/{SIZE}\r\n\r\n".encode()
        + DATA[start:stop]
        for start, stop in ((0, 2), (5, 7), (SIZE - 2, SIZE))
    ]
    assert reply.body == b"\r\n".join([*parts, f"--{found[1]}--\r\n".encode()])


def test_an_empty_file_is_whole_and_has_no_parts(get: Ask) -> None:
    whole = get("empty.txt")
    assert (whole.status, whole.headers["content-length"]) == (200, "0")
    part = get("empty.txt", headers={"Range": "bytes=0-"})
    assert (part.status, part.headers["content-range"]) == (416, "bytes */0")


# --- fingerprints


def named(path: str, with_fingerprint: str = FINGERPRINT) -> str:
    return fingerprint.add(path, with_fingerprint)


def test_the_files_own_fingerprint_is_immutable(get: Ask) -> None:
    reply = get(named("css/app.css"))
    assert (reply.status, reply.body) == (200, STYLE)
    assert reply.headers["cache-control"] == IMMUTABLE
    assert reply.headers["content-type"] == "text/css; charset=utf-8"


def test_another_fingerprint_gets_the_current_bytes_and_is_never_immutable(serve: Callable[..., Ask]) -> None:
    reply = serve(shared_cache="s-maxage=60")(named("css/app.css", "0" * 64))
    assert (reply.status, reply.body) == (200, STYLE)
    assert reply.headers["cache-control"] == REVALIDATE, "nor may a shared cache keep it for a while"


def test_a_retained_file_of_that_name_is_itself(get: Ask, tree: Path) -> None:
    put(tree, named("css/app.css", "0" * 64), b"old")
    reply = get(named("css/app.css", "0" * 64))
    assert reply.body == b"old"
    assert reply.headers["cache-control"] == REVALIDATE, "nobody vouches for it"


def test_a_retained_file_whose_content_is_its_name_is_immutable(serve: Callable[..., Ask], tree: Path) -> None:
    digest = hashlib.sha256(b"old").hexdigest()
    put(tree, named("css/app.css", digest), b"old")
    put(tree, named("css/app.css", "0" * 64), b"old")
    ask = serve(fingerprint="content")
    assert ask(named("css/app.css", digest)).headers["cache-control"] == IMMUTABLE
    assert ask(named("css/app.css", "0" * 64)).headers["cache-control"] == REVALIDATE
    assert ask(named("css/app.css", hashlib.sha256(STYLE).hexdigest())).headers["cache-control"] == IMMUTABLE


def test_a_retained_file_outlives_its_plain_one(get: Ask, tree: Path) -> None:
    put(tree, named("gone.css"), b"old")
    assert get(named("gone.css")).body == b"old"


def test_a_file_replaced_after_its_url_was_made_is_not_immutable_under_that_url(get: Ask, tree: Path) -> None:
    assert get(named("css/app.css")).headers["cache-control"] == IMMUTABLE
    put(tree, "css/app.css", b"new", MODIFIED_NS + 1)
    reply = get(named("css/app.css"))
    assert (reply.body, reply.headers["cache-control"]) == (b"new", REVALIDATE)


def test_a_mount_without_fingerprints_verifies_none(serve: Callable[..., Ask]) -> None:
    assert serve(fingerprint=False)(named("css/app.css")).headers["cache-control"] == REVALIDATE


def test_a_missing_file_is_not_kept_whatever_its_name(get: Ask) -> None:
    for path in ("gone.css", named("gone.css")):
        reply = get(path)
        assert (reply.status, reply.body) == (404, b"Not Found")
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["access-control-allow-origin"] == "*"


# --- validators


def test_the_etag_follows_content_where_content_makes_the_names(serve: Callable[..., Ask], tree: Path) -> None:
    ask = serve(fingerprint="content")
    before = ask("data.bin").headers["etag"]
    put(tree, "data.bin", DATA, MODIFIED_NS + 1)
    assert ask("data.bin").headers["etag"] == before == f'"{hashlib.sha256(DATA).hexdigest()[:32]}"'


@pytest.mark.parametrize("mtime_ns", [0, -(10**18), 10**9, 315_532_800 * 10**9])
def test_a_time_that_tells_nothing_earns_no_304(get: Ask, tree: Path, mtime_ns: int) -> None:
    put(tree, "a.bin", b"one", mtime_ns)
    first = get("a.bin")
    assert "last-modified" not in first.headers
    put(tree, "a.bin", b"two", mtime_ns)
    again = get("a.bin", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (200, b"two")
    assert get("a.bin", headers={"If-Modified-Since": AFTER}).status == 200


def test_a_time_in_the_future_earns_no_304_by_date(get: Ask, tree: Path) -> None:
    tomorrow = int(time.time()) + 86_400
    put(tree, "a.bin", b"one", tomorrow * 10**9)
    reply = get("a.bin", headers={"If-Modified-Since": formatdate(tomorrow, usegmt=True)})
    assert reply.status == 200
    assert "last-modified" not in reply.headers


# --- representations


def test_each_coding_has_its_own_etag_and_all_say_what_they_vary_by(get: Ask) -> None:
    replies = {coding: get("css/app.css", headers={"Accept-Encoding": coding}) for coding in ("br", "zstd", "gzip", "")}
    assert [reply.headers.get("content-encoding") for reply in replies.values()] == ["br", "zstd", "gzip", None]
    assert len({reply.headers["etag"] for reply in replies.values()}) == 4
    assert {reply.headers["vary"] for reply in replies.values()} == {"Accept-Encoding"}
    assert {reply.headers["content-type"] for reply in replies.values()} == {"text/css; charset=utf-8"}
    assert gzip.decompress(replies["gzip"].body) == STYLE
    for coding, reply in replies.items():
        again = get("css/app.css", headers={"Accept-Encoding": coding, "If-None-Match": reply.headers["etag"]})
        assert (again.status, again.headers["vary"]) == (304, "Accept-Encoding")


def test_head_tells_the_length_of_the_variant(get: Ask) -> None:
    headers = {"Accept-Encoding": "br"}
    assert get("css/app.css", "HEAD", headers).headers == get("css/app.css", "GET", headers).headers


def test_refused_codings_are_not_sent(get: Ask) -> None:
    assert "content-encoding" not in get("css/app.css", headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_a_part_is_cut_from_the_plain_bytes(get: Ask) -> None:
    reply = get("css/app.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (reply.status, reply.body) == (206, STYLE[:10])
    assert "content-encoding" not in reply.headers
    assert reply.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["data.bin", "tiny.css", "empty.txt"])
def test_what_gains_nothing_does_not_vary(get: Ask, path: str) -> None:
    reply = get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "vary" not in reply.headers
    assert "content-encoding" not in reply.headers


def test_a_file_that_turns_out_incompressible_does_not_vary(get: Ask, tree: Path) -> None:
    noise = os.urandom(5000)
    put(tree, "noise.js", noise)
    reply = get("noise.js", headers={"Accept-Encoding": "br"})
    assert reply.body == noise
    assert "content-encoding" not in reply.headers


def test_a_mount_may_compress_nothing_by_itself(serve: Callable[..., Ask], tree: Path) -> None:
    put(tree, "css/app.css.br", BY_HAND)
    ask = serve(compress_bytes=0)
    assert ask("css/app.css", headers={"Accept-Encoding": "br"}).body == BY_HAND
    assert "content-encoding" not in ask("css/app.css", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize("value", [-1, True, "32 MB", None, 1.5])
def test_a_budget_that_is_none_is_refused_at_wiring(serve: Callable[..., Ask], value: object) -> None:
    with pytest.raises(SettingsError, match="33554432"):
        serve(compress_bytes=value)


def test_a_sibling_is_sent_as_its_file_is(get: Ask, tree: Path) -> None:
    put(tree, "css/app.css.br", BY_HAND)
    reply = get("css/app.css", headers={"Accept-Encoding": "br"})
    assert (reply.body, reply.headers["content-encoding"]) == (BY_HAND, "br")
    assert reply.headers["content-type"] == "text/css; charset=utf-8"
    assert reply.headers["cache-control"] == REVALIDATE
    assert get(named("css/app.css"), headers={"Accept-Encoding": "br"}).headers["cache-control"] == IMMUTABLE
    head = get("css/app.css", "HEAD", {"Accept-Encoding": "br"})
    assert head.headers == reply.headers
    again = get("css/app.css", headers={"Accept-Encoding": "br", "If-None-Match": reply.headers["etag"]})
    assert again.status == 304


@pytest.mark.parametrize("age_ns", [-(10**9), 0, 10**9])
def test_a_sibling_is_never_the_stale_body_of_a_new_file_whatever_their_times(
    get: Ask, tree: Path, age_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    put(tree, "css/app.css.gz", gzip.compress(STYLE), MODIFIED_NS + 1 + age_ns)
    put(tree, "css/app.css", STYLE[::-1], MODIFIED_NS + 1)
    reply = get("css/app.css", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(reply.body) == STYLE[::-1]
    assert "'css/app.css.gz' in" in caplog.text
    assert "does not hold the bytes of 'css/app.css'" in caplog.text


def test_a_sibling_counts_though_a_copy_did_not_keep_its_time(get: Ask, tree: Path) -> None:
    put(tree, "css/app.css.br", BY_HAND, MODIFIED_NS - 10**12)
    reply = get(named("css/app.css"), headers={"Accept-Encoding": "br"})
    assert (reply.body, reply.headers["cache-control"]) == (BY_HAND, IMMUTABLE)


def test_a_new_file_has_a_new_variant_at_once(get: Ask, tree: Path) -> None:
    first = get("css/app.css", headers={"Accept-Encoding": "gzip"})
    put(tree, "css/app.css", STYLE[::-1], MODIFIED_NS + 1)
    second = get("css/app.css", headers={"Accept-Encoding": "gzip"})
    assert first.headers["etag"] != second.headers["etag"]
    assert gzip.decompress(second.body) == STYLE[::-1]


def test_a_compressed_file_asked_for_by_name_is_only_itself(get: Ask, tree: Path) -> None:
    put(tree, "css/app.css.gz", b"by hand")
    reply = get("css/app.css.gz", headers={"Accept-Encoding": "gzip"})
    assert (reply.body, reply.headers["content-type"]) == (b"by hand", "application/gzip")
    assert "content-encoding" not in reply.headers


# --- methods, CORS, further headers


@pytest.mark.parametrize("path", ["data.bin", "gone", "../etc"])
def test_a_preflight_is_answered_for_any_path(get: Ask, path: str) -> None:
    reply = get(path, "OPTIONS", {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert {"Range", "If-None-Match", "If-Range"} <= set(reply.headers["access-control-allow-headers"].split(", "))
    assert int(reply.headers["access-control-max-age"]) > 0
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "X" * 1000])
def test_other_methods_are_refused_by_name(get: Ask, method: str) -> None:
    reply = get("data.bin", method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert reply.headers["cache-control"] == "no-store"


def test_one_set_of_headers_stands_on_every_status(get: Ask) -> None:
    replies = [
        get("css/app.css"),
        get("css/app.css", headers={"Range": "bytes=0-1"}),
        get("css/app.css", headers={"If-None-Match": "*"}),
        get("gone.css"),
        get("css/app.css", "POST"),
        get("css/app.css", headers={"If-Match": '"y"'}),
        get("css/app.css", headers={"Range": "bytes=99999-"}),
    ]
    assert [reply.status for reply in replies] == [200, 206, 304, 404, 405, 412, 416]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
        assert reply.headers["x-content-type-options"] == "nosniff"
        kept = reply.status in {200, 206, 304}
        assert reply.headers["cache-control"] == (REVALIDATE if kept else "no-store")
        about_the_file = reply.status not in {404, 405}
        assert reply.headers.get("vary") == ("Accept-Encoding" if about_the_file else None)


def test_a_private_mount_is_for_its_own_origin(serve: Callable[..., Ask]) -> None:
    ask = serve(public=False)
    reply = ask("data.bin")
    assert reply.headers["cache-control"] == "max-age=0, private, must-revalidate"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in reply.headers if name.startswith(("access-control", "cross-origin"))]
    preflight = ask("data.bin", "OPTIONS", {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert "access-control-allow-origin" not in preflight.headers
    assert ask(named("data.bin")).headers["cache-control"] == "max-age=31536000, private, immutable"


def test_a_cdn_shows_its_timings(serve: Callable[..., Ask]) -> None:
    ask = serve(url="https://cdn.example.com/")
    assert ask("data.bin").headers["timing-allow-origin"] == "*"
    assert serve(asset_host="https://cdn.example.com")("data.bin").headers["timing-allow-origin"] == "*"
    assert "timing-allow-origin" not in serve()("data.bin").headers


def test_a_mounts_own_headers_stand_on_its_files(serve: Callable[..., Ask]) -> None:
    rules = {"*.css": {"Content-Security-Policy": "sandbox", "Cross-Origin-Resource-Policy": "same-site"}}
    ask = serve(headers=rules)
    for headers in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
        reply = ask(named("css/app.css"), headers=headers)
        assert reply.headers["content-security-policy"] == "sandbox"
        assert reply.headers["cross-origin-resource-policy"] == "same-site"
    assert "content-security-policy" not in ask("data.bin").headers


def test_a_plain_file_may_stay_in_shared_caches(serve: Callable[..., Ask]) -> None:
    ask = serve(shared_cache="s-maxage=60")
    assert ask("data.bin").headers["cache-control"] == "max-age=0, public, s-maxage=60, must-revalidate"
    assert ask(named("data.bin")).headers["cache-control"] == IMMUTABLE


def test_defaults_answer_the_bare_prefix(serve: Callable[..., Ask], tree: Path) -> None:
    put(tree, "index.html", b"<h1>hello</h1>")
    ask = serve(defaults={"file": "index.html"})
    reply = ask("")
    assert (reply.status, reply.body) == (200, b"<h1>hello</h1>")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert serve()("").status == 404


@pytest.mark.parametrize(("allowed", "status"), [([".css"], 404), ([".bin"], 200), ([], 200)])
def test_only_allowed_extensions_are_served(serve: Callable[..., Ask], allowed: list[str], status: int) -> None:
    ask = serve(allowed_ext=allowed)
    assert ask("data.bin").status == status
    assert ask(named("data.bin")).status == status


# --- failures


class Failing(LocalBackend):
    """A directory whose storage raises what it is told to, a few times."""

    def __init__(self, directory: Path, error: AssetStoreError, times: int = 1000) -> None:
        super().__init__(directory)
        self.error, self.times = error, times

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        self._fail()
        return super().open(path, span, validator=validator)

    def stat(self, path: str) -> FileStat:
        self._fail()
        return super().stat(path)

    def _fail(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        pytest.param(BackendForbidden("s3cr3t"), 404, None, id="a file that may not be read"),
        pytest.param(BackendCredentials("s3cr3t"), 503, "5", id="credentials"),
        pytest.param(BackendUnavailable("s3cr3t"), 503, "5", id="unreachable"),
        pytest.param(BackendThrottled("s3cr3t"), 503, "5", id="throttled"),
        pytest.param(BackendThrottled("s3cr3t", retry_after_seconds=7.2), 503, "8", id="throttled for a time"),
        pytest.param(BackendThrottled("s3cr3t", retry_after_seconds=1e9), 503, "120", id="throttled for ever"),
        pytest.param(BackendTimeout("s3cr3t"), 504, "5", id="too slow"),
        pytest.param(VersionChanged("s3cr3t"), 502, None, id="always another version"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_storage_fault_is_a_status_for_the_client_and_a_story_for_the_operator(
    serve: Callable[..., Ask],
    tree: Path,
    caplog: pytest.LogCaptureFixture,
    error: AssetStoreError,
    status: int,
    retry: str | None,
    method: str,
) -> None:
    reply = serve(Failing(tree, error))("data.bin", method)
    assert (reply.status, reply.headers.get("retry-after")) == (status, retry)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert b"s3cr3t" not in reply.body
    assert str(tree).encode() not in reply.body
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "s3cr3t" in caplog.text


def test_an_outage_does_not_fill_the_log(
    serve: Callable[..., Ask], tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    get = serve(Failing(tree, BackendUnavailable("no route to it")))
    assert {get(path).status for path in ["data.bin", "css/app.css"] * 100} == {503}
    assert len(caplog.records) == 1
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize("error", [VersionChanged("x"), BodyTruncated("x")])
def test_a_file_that_changed_meanwhile_is_tried_once_more(
    serve: Callable[..., Ask], tree: Path, error: AssetStoreError
) -> None:
    assert serve(Failing(tree, error, times=1))("data.bin").body == DATA


def test_a_missing_file_is_nothing_to_log(get: Ask, caplog: pytest.LogCaptureFixture) -> None:
    assert get("gone").status == 404
    assert not caplog.records


class Watched(LocalBackend):
    """A directory that counts what is open."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.spans: list[Span] = []
        self.opened: list[Any] = []

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
        self.spans.append(span)
        self.opened.append(super().open(path, span, validator=validator))
        return self.opened[-1]

    @property
    def left_open(self) -> int:
        return sum(each.fileno() >= 0 for each in self.opened)


@pytest.fixture
def watched(tree: Path) -> Iterator[Watched]:
    backend = Watched(tree)
    yield backend
    assert backend.left_open == 0


@pytest.mark.parametrize(
    ("headers", "spans"),
    [
        pytest.param({}, [WHOLE], id="a whole file is opened once"),
        pytest.param({"Range": "bytes=2-5"}, [Span(2, 6)], id="a single range is what is fetched"),
        pytest.param({"Range": "bytes=-5"}, [Span(-5)], id="a suffix too"),
        pytest.param({"Range": "bytes=0-1,5-6"}, [WHOLE], id="several are one opening"),
        pytest.param({"If-None-Match": ETAG}, [WHOLE], id="a 304 looks at it once"),
        pytest.param({"If-None-Match": '"y"'}, [WHOLE], id="a condition that passes too"),
        pytest.param({"If-Match": '"y"'}, [WHOLE], id="a 412 too"),
    ],
)
def test_a_file_is_opened_for_what_is_sent_of_it(
    serve: Callable[..., Ask], watched: Watched, headers: dict[str, str], spans: list[Span]
) -> None:
    serve(watched)("data.bin", headers=headers)
    assert watched.spans == spans


@pytest.mark.parametrize(
    ("headers", "spans"),
    [
        pytest.param({"If-None-Match": ETAG}, [], id="a 304 fetches nothing"),
        pytest.param({"If-None-Match": '"y"'}, [Span(0, len(DATA))], id="a condition that passes fetches afterwards"),
        pytest.param({"If-Match": '"y"'}, [], id="a 412 fetches nothing"),
    ],
)
def test_of_a_remote_file_nothing_is_fetched_that_is_not_sent(
    serve: Callable[..., Ask], watched: Watched, headers: dict[str, str], spans: list[Span]
) -> None:
    watched.remote = True
    serve(watched, index="lazy")("data.bin", headers=headers)
    assert watched.spans == spans


def test_head_fetches_nothing_of_a_remote_file(serve: Callable[..., Ask], watched: Watched) -> None:
    watched.remote = True
    serve(watched, index="lazy")("data.bin", "HEAD")
    assert watched.spans == []


def test_whatever_is_asked_everything_is_closed(serve: Callable[..., Ask], watched: Watched, tree: Path) -> None:
    put(tree, "css/app.css.zst", zstandard.compress(STYLE))
    ask = serve(watched)
    whole = ask("data.bin")
    for path in ("data.bin", "css/app.css", named("css/app.css"), named("css/app.css", "0" * 64), "gone"):
        for row in MATRIX:
            for codings in ("br", "zstd", ""):
                ask(path, headers={**fill(row.values[0], whole), "Accept-Encoding": codings})
    assert watched.opened
