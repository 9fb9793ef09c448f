"""What the headers of an object mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat
from assetstore.backends.http import mtime_ns, received_part, stat_of
from assetstore.errors import UnexpectedResponse

SHA = "ab" * 32


def test_every_fact_has_its_header() -> None:
    headers = {
        "content-length": "5",
        "content-range": "bytes 0-4/100",
        "last-modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        "etag": '"abc-2"',
        "content-encoding": "br,aws-chunked",
        "x-amz-meta-assetstore-sha256": SHA,
        "x-amz-meta-assetstore-fingerprint": "cd" * 32,
    }
    assert stat_of("a.css", headers) == FileStat(
        "a.css", 100, 1_704_164_645 * 10**9, "abc-2", sha256=SHA, published_fingerprint="cd" * 32, coding="br"
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, FileStat("a", 0), id="nothing is known"),
        pytest.param({"etag": 'W/"x"'}, FileStat("a", 0), id="a weak tag is no validator"),
        pytest.param({"last-modified": "yesterday"}, FileStat("a", 0), id="a bad date is none"),
        pytest.param({"content-encoding": "aws-chunked"}, FileStat("a", 0), id="the transfer's coding is none"),
        pytest.param({"x-amz-meta-assetstore-sha256": "AB"}, FileStat("a", 0), id="a malformed sha256 is none"),
        pytest.param(
            {"x-amz-checksum-sha256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},
            FileStat("a", 0, sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            id="the storage's checksum will do",
        ),
        pytest.param(
            {"x-amz-checksum-sha256": "ungWv48Bz+pBQUDe-3"}, FileStat("a", 0), id="a checksum of parts will not"
        ),
    ],
)
def test_what_is_absent_or_malformed_is_none(headers: dict[str, str], expected: FileStat) -> None:
    assert stat_of("a", {"content-length": "0", **headers}) == expected


def test_a_listing_and_a_header_tell_one_time() -> None:
    assert mtime_ns("2024-01-02T03:04:05.987Z") == 1_704_164_645 * 10**9
    assert mtime_ns("soon") is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no length"),
        pytest.param({"content-length": "-1"}, id="a negative length"),
        pytest.param({"content-length": "9" * 5000}, id="a length of 5,000 digits"),
        pytest.param({"content-length": "\u0663"}, id="digits of another script"),
        pytest.param({"content-length": "5", "content-range": "bytes 5-9/*"}, id="a part of a file of unknown size"),
        pytest.param({"content-length": "5", "content-range": "bytes 5-9/7"}, id="a part beyond the end"),
        pytest.param({"content-length": "5", "content-type": "text/html"}, id="the page of a captive portal"),
    ],
)
def test_what_cannot_be_a_file_is_no_file(headers: dict[str, str]) -> None:
    with pytest.raises(UnexpectedResponse):
        stat_of("app.js", {"etag": '"1"', **headers})


def test_a_page_is_a_page() -> None:
    page = {"content-length": "5", "content-type": "text/html; charset=utf-8"}
    assert stat_of("index.html", page).size == stat_of("LICENSE", page).size == 5
    stored = {**page, "etag": '"1"', "x-amz-request-id": "1"}
    assert stat_of("app.js", stored, is_s3=True).size == 5  # a bucket says of an object what it was told


def test_an_answer_without_an_etag_is_not_from_a_bucket() -> None:
    with pytest.raises(UnexpectedResponse, match="ETag"):
        stat_of("app.js", {"content-length": "5", "content-type": "text/javascript"}, is_s3=True)


@given(
    st.dictionaries(
        st.sampled_from(
            "content-length content-range etag last-modified content-type content-encoding x-amz-checksum-sha256".split()
        ),
        st.text(max_size=40) | st.from_regex(r"bytes \d{1,20}-\d{1,20}/(\d{1,20}|\*)") | st.from_regex(r"\d{1,30}"),
    ),
    st.booleans(),
)
def test_any_headers_are_a_file_or_our_error(headers: dict[str, str], is_s3: bool) -> None:
    try:
        stat = stat_of("app.js", headers, is_s3=is_s3)
    except UnexpectedResponse:
        return
    assert 0 <= stat.size < 10**18
    start, stop = received_part(headers, stat.size)
    assert 0 <= start <= stop <= stat.size
