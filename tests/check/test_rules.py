"""What is right and wrong about an response, row by row, without any network."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from assetstore.assets.compression import CODINGS, compress
from assetstore.check import rules as rules
from assetstore.check.client import CdnResponse
from assetstore.check.rules import CheckResult
from assetstore.names.manifest import Entry, StoredObject

BODY = b"body { color: red; }\n" * 200
SHA = hashlib.sha256(BODY).hexdigest()
CSS = Entry("app.css", "ab" * 32, len(BODY), SHA, "sha384-x", "text/css; charset=utf-8", None)
FONT = Entry("a.woff2", "ab" * 32, 4, "0" * 64, "sha384-x", "font/woff2", None)


def response(status: int = 200, body: bytes = BODY, **headers: str) -> CdnResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CdnResponse("https://cdn.example.com/x", status, named, len(body), hashlib.sha256(body).hexdigest(), body)


def stored(coding: str | None, body: bytes) -> StoredObject:
    return StoredObject("app.css", len(body), hashlib.sha256(body).hexdigest(), "", coding)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(200, "", id="found"),
        pytest.param(403, "s3:ListBucket", id="forbidden names the permission"),
        pytest.param(404, "publish this release", id="missing"),
        pytest.param(301, "instead of redirecting to 'https://www.example.com/'", id="redirect names its place"),
        pytest.param(502, "the CDN's log", id="anything else"),
    ],
)
def test_the_status_decides_what_to_change(given: int, says: str) -> None:
    found = rules.status(response(given, location="https://www.example.com/"))
    assert found.fault == (given != 200)
    assert says in found.change


def test_no_answer_tells_why() -> None:
    found = rules.status(CdnResponse("https://cdn.example.com/x", 0, {}, error="timed out"))
    assert found.saw == "no answer: timed out"


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("max-age=31536000, public, immutable", True),
        ("public,max-age=31536000,IMMUTABLE", True),
        ("max-age=63072000, immutable", True),
        ("max-age=31536000, public", False),
        ("max-age=3600, immutable", False),
        ('max-age="31536000", immutable', True),
        ("immutable", False),
        ("max-age=soon, immutable", False),
        ("", False),
    ],
)
def test_immutable_needs_the_word_and_a_year(value: str, good: bool) -> None:
    assert rules.immutable(response(cache_control=value)).fault is not good


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("max-age=0, public, must-revalidate", True),
        ("max-age=0, public, s-maxage=60, must-revalidate", True),
        ("no-cache", True),
        ("max-age=14400", False),
        ("public", False),
        ("max-age=0, immutable", False),
        ("", False),
    ],
)
def test_a_plain_file_is_revalidated_by_browsers(value: str, good: bool) -> None:
    assert rules.plain(response(cache_control=value)).fault is not good


def test_bytes_are_the_published_ones() -> None:
    assert not rules.content(response(), CSS).fault
    assert "4200" in rules.content(response(body=BODY[:-1] + b" "), CSS).saw


def test_a_coding_that_nobody_asked_for_is_a_fault_unless_it_was_stored_so() -> None:
    body = gzip.compress(BODY, mtime=0)
    assert "Vary" in rules.content(response(body=body, content_encoding="gzip"), CSS).change
    so = replace(CSS, stored=(stored("gzip", body),))
    assert not rules.content(response(body=body, content_encoding="gzip"), so).fault
    assert rules.content(response(body=body + b"x", content_encoding="gzip"), so).fault


def encoded(coding: str, body: bytes = BODY) -> bytes:
    made = compress(body, coding)
    assert made is not None
    return made


OLD = BODY.replace(b"red", b"tan")
BOMB = b" " * 100 * len(BODY)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("body", "vary", "says"),
    [
        pytest.param(encoded, "Origin, accept-encoding", "", id="the file, marked as varying"),
        pytest.param(encoded, "*", "", id="the file, varying with everything"),
        pytest.param(encoded, "", "without Vary", id="the file, as if it were the same for all"),
        pytest.param(lambda coding: encoded(coding, OLD), "accept-encoding", "of another file", id="another version"),
        pytest.param(lambda coding: encoded(coding)[:-3], "accept-encoding", "of another file", id="broken off"),
        pytest.param(lambda coding: encoded(coding, BOMB), "accept-encoding", "of another file", id="a bomb"),
        pytest.param(lambda coding: BODY, "accept-encoding", "of another file", id="not coded at all"),
    ],
)
def test_what_comes_compressed_is_the_file_and_says_so(
    coding: str, body: Callable[[str], bytes], vary: str, says: str
) -> None:
    [found] = rules.compression(response(body=body(coding), content_encoding=coding, vary=vary), CSS, coding)
    assert found.fault is bool(says)
    assert says in found.saw


def test_only_gzip_has_to_come() -> None:
    [found] = rules.compression(response(), CSS, "gzip")
    assert "uncompressed" in found.saw
    assert list(rules.compression(response(), CSS, "br")) == []


def test_another_coding_than_the_client_accepts_is_a_fault_unless_it_was_stored_so() -> None:
    body = encoded("gzip")
    given = response(body=body, content_encoding="gzip", vary="accept-encoding")
    [found] = rules.compression(given, CSS, "br")
    assert "accepts only br" in found.saw
    [found] = rules.compression(given, replace(CSS, stored=(stored("gzip", body),)), "br")
    assert not found.fault


def test_a_coding_that_nobody_here_can_read_is_not_judged_by_its_bytes() -> None:
    [found] = rules.compression(response(content_encoding="lz4", vary="*"), CSS, "lz4")
    assert not found.fault


def test_cors_is_for_everybody_or_for_who_asked() -> None:
    assert not rules.cors(response(access_control_allow_origin="*"), CSS).fault
    assert not rules.cors(response(access_control_allow_origin=rules.ORIGIN), CSS).fault
    assert rules.cors(response(access_control_allow_origin="https://other.example"), CSS).fault
    assert "refuse this font" in rules.cors(response(), FONT).change


@pytest.mark.parametrize(
    ("status", "content_range", "body", "good"),
    [
        (206, f"bytes 2-5/{len(BODY)}", BODY[2:6], True),
        (200, "", BODY, False),
        (206, f"bytes 2-6/{len(BODY)}", BODY[2:6], False),
        (206, f"bytes 2-5/{len(BODY)}", b"else", False),
        (416, f"bytes */{len(BODY)}", b"", False),
    ],
)
def test_a_range_is_the_bytes_that_were_asked_for(status: int, content_range: str, body: bytes, good: bool) -> None:
    found = rules.ranges(response(status, body, content_range=content_range), 2, 6, response())
    assert found.fault is not good


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        pytest.param(response(404, cache_control="no-store"), response(404), "", id="good"),
        pytest.param(response(404), response(404, age="0", x_cache="MISS"), "", id="asked anew"),
        pytest.param(response(403), response(403), "status 403", id="forbidden"),
        pytest.param(response(200), response(200), "status 200", id="the home page"),
        pytest.param(response(302), response(302), "status 302", id="redirected"),
        pytest.param(response(404, cache_control="max-age=60"), response(404), "max-age=60", id="may be kept"),
        pytest.param(
            response(404, cache_control="s-maxage=60"), response(404), "s-maxage=60", id="may be kept by caches"
        ),
        pytest.param(response(404), response(404, age="1"), "Age: 1", id="has an age"),
        pytest.param(
            response(404), response(404, x_cache="Hit from cloudfront"), "Hit from cloudfront", id="CloudFront"
        ),
        pytest.param(response(404), response(404, x_cache="TCP_HIT"), "TCP_HIT", id="Akamai"),
        pytest.param(response(404), response(404, cf_cache_status="HIT"), "HIT", id="Cloudflare"),
        pytest.param(response(404), response(404, cache_status="edge; hit"), "edge; hit", id="RFC 9211"),
        pytest.param(response(404), response(404, cache_status="edge; fwd=miss"), "", id="RFC 9211 miss"),
        pytest.param(response(404), response(404, x_varnish="32773 32771"), "32773 32771", id="Varnish"),
        pytest.param(response(404), response(404, x_varnish="32773"), "", id="Varnish miss"),
    ],
)
def test_a_missing_name_is_a_404_that_nobody_keeps(first: CdnResponse, second: CdnResponse, says: str) -> None:
    found = rules.missing(first, second)
    assert found.fault is bool(says)
    assert says in found.saw


@pytest.mark.parametrize(
    ("headers", "kept"),
    [({"x_cache": "HIT"}, True), ({"x_cache": "MISS"}, False), ({"age": "0"}, False), ({"age": "9"}, True), ({}, None)],
)
def test_a_cache_that_says_nothing_is_not_judged(headers: dict[str, str], kept: bool | None) -> None:
    found = rules.kept(response(**headers))
    assert (None if found is None else not found.fault) is kept


@pytest.mark.parametrize(
    "found",
    [
        rules.modified(response(), None),
        rules.modified(response(last_modified="x"), response(200)),
        rules.etag(response(), None),
        rules.etag(response(etag='"1"'), response(200)),
        rules.mixed(response(304), response(304)),
        rules.isolation(response(x_content_type_options="nosniff")),
        rules.content_type(response(content_type="text/plain"), CSS),
    ],
    ids=lambda found: f"{found.item.value}: {found.saw}",
)
def test_every_fault_says_what_was_seen_and_what_to_change(found: CheckResult) -> None:
    assert found.fault
    assert len(found.change.split()) > 3


@pytest.mark.parametrize(
    "found",
    [
        rules.modified(response(last_modified="x"), response(304)),
        rules.etag(response(etag='"1"'), response(304)),
        rules.mixed(response(304), response(200)),
        rules.mixed(response(404), response(404)),
        rules.isolation(response(x_content_type_options="nosniff", cross_origin_resource_policy="cross-origin")),
        rules.content_type(response(content_type="text/css;charset=UTF-8"), CSS),
    ],
    ids=lambda found: found.item.value,
)
def test_what_is_well_is_no_fault(found: CheckResult) -> None:
    assert not found.fault
