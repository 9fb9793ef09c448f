"""What the headers of an object mean."""

from __future__ import annotations

import pytest

from assetstore.backends.base import FileStat
from assetstore.backends.http.headers import mtime_ns, stat_of

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
    assert stat_of("a", headers) == expected


def test_a_listing_and_a_header_tell_one_time() -> None:
    assert mtime_ns("2024-01-02T03:04:05.987Z") == 1_704_164_645 * 10**9
    assert mtime_ns("soon") is None
