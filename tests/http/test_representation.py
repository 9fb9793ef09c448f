"""Validators and headers of a representation come from the facts of its bytes and from nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assetstore.backends.base import FileStat
from assetstore.http.conditional import ETag
from assetstore.http.representation import AssetHeaders, etag_of_stat, etag_of_variant, modified_seconds

NOW = 1_700_000_000.0
DIGEST = "0123456789abcdef" * 4
FACTS = AssetHeaders(
    media_type="text/css; charset=utf-8", cache_control="max-age=9", extra=((b"x-test", b"1"),), modified=10**9
)


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        pytest.param(FileStat("a", 255, 10**18 + 1), "ff-de0b6b3a7640001", id="size and time"),
        pytest.param(FileStat("a", 255, 10**18), None, id="a whole second tells nothing"),
        pytest.param(FileStat("a", 255, 10**18, sha256=DIGEST), DIGEST[:32], id="a checksum of the bytes comes first"),
        pytest.param(FileStat("a", 255, 10**18, "v-1"), "v-1", id="then the storage's own"),
        pytest.param(FileStat("a", 255), None, id="nothing is known"),
        pytest.param(FileStat("a", 255, 0), None, id="the epoch tells nothing"),
        pytest.param(FileStat("a", 255, -5), None, id="nor does a time before it"),
        pytest.param(FileStat("a", 255, 10**9), None, id="nor the second after it"),
    ],
)
def test_the_tag_of(stat: FileStat, expected: str | None) -> None:
    assert etag_of_stat(stat) == expected


def test_a_validator_that_no_header_can_hold_is_hashed() -> None:
    tag = etag_of_stat(FileStat("a", 1, validator='a"b\r\n€'))
    assert tag is not None
    assert ETag.from_header(f'"{tag}"') == ETag(tag)


def test_a_tag_is_the_same_in_every_time_zone() -> None:
    code = (
        "import os, time; from assetstore.backends.base import FileStat; from assetstore.http.representation import *\n"
        "stat = FileStat('a', 9, 1_600_000_000_123_456_789)\n"
        "for os.environ['TZ'] in ('UTC', 'America/New_York', 'Asia/Kathmandu'):\n"
        "    time.tzset()\n"
        "    headers = AssetHeaders('a', 'b', (), modified_seconds(stat, 2e9)).represent(9, 'x', varies=False)\n"
        "    print(etag_of_stat(stat), headers)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "."}, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 3
    assert len(set(done.stdout.splitlines())) == 1


def test_two_variants_have_two_tags() -> None:
    assert etag_of_variant(b"a", "br") != etag_of_variant(b"b", "br")
    assert etag_of_variant(b"a", "br").endswith("-br")


@pytest.mark.parametrize(
    ("mtime_ns", "expected"),
    [
        pytest.param(1_600_000_000_999_999_999, 1_600_000_000, id="whole seconds, rounded down"),
        pytest.param(None, None, id="no time"),
        pytest.param(0, None, id="the epoch"),
        pytest.param(-1, None, id="before the epoch"),
        pytest.param(315_532_800 * 10**9, None, id="the first day of zip"),
        pytest.param(int(NOW + 1) * 10**9, None, id="the future"),
    ],
)
def test_modified_seconds(mtime_ns: int | None, expected: int | None) -> None:
    assert modified_seconds(FileStat("a", 1, mtime_ns), NOW) == expected


def test_each_status_has_its_headers() -> None:
    made = FACTS.represent(5, "t", varies=True, coding="br")
    assert dict(made.full) == {
        b"x-test": b"1",
        b"vary": b"Accept-Encoding",
        b"cache-control": b"max-age=9",
        b"etag": b'"t"',
        b"last-modified": b"Sun, 09 Sep 2001 01:46:40 GMT",
        b"content-encoding": b"br",
        b"accept-ranges": b"bytes",
        b"content-type": b"text/css; charset=utf-8",
        b"content-length": b"5",
    }
    assert set(dict(made.not_modified)) == {b"x-test", b"vary", b"cache-control", b"etag"}
    assert dict(made.refused) == {b"x-test": b"1", b"vary": b"Accept-Encoding", b"cache-control": b"no-store"}
    assert set(dict(made.full)) - set(dict(made.partial)) == {b"content-type", b"content-length"}


def test_what_tells_no_versions_apart_has_no_validators() -> None:
    made = AssetHeaders("a/b", "max-age=9", ()).represent(5, None, varies=False)
    assert made.validators.etag is None
    assert not {b"etag", b"last-modified", b"vary"} & set(dict(made.full))
