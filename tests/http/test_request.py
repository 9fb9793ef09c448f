"""Of a request's headers only those that matter are read, and none can be made to matter twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import Span
from assetstore.http.conditional import ETag, Validators
from assetstore.http.ranges import RangeSet
from assetstore.http.request import AssetRequest

VALIDATORS = Validators(ETag("x"))


def test_a_request_without_headers_of_ours_is_the_plain_one() -> None:
    assert AssetRequest.from_headers("GET", [(b"host", b"a"), (b"cookie", b"b")]) == AssetRequest()
    assert AssetRequest.from_headers("HEAD", []) == AssetRequest(head=True)


def test_a_range_is_read_for_get_only() -> None:
    headers = [(b"range", b"bytes=0-1")]
    assert AssetRequest.from_headers("GET", headers).ranges == RangeSet((Span(0, 2),))
    assert AssetRequest.from_headers("HEAD", headers).ranges is None


def test_a_range_that_comes_twice_is_none() -> None:
    headers = [(b"range", b"bytes=0-1"), (b"range", b"bytes=2-3")]
    assert AssetRequest.from_headers("GET", headers).ranges is None


def test_a_list_that_comes_in_two_headers_is_one_list() -> None:
    request = AssetRequest.from_headers("GET", [(b"if-none-match", b'"a"'), (b"if-none-match", b'"x"')])
    assert request.preconditions.if_none_match == '"a", "x"'
    request = AssetRequest.from_headers("GET", [(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")])
    assert request.accepted.choose(["gzip"]) == "gzip"


@pytest.mark.parametrize(
    ("name", "conditional"),
    [("if-match", True), ("if-none-match", True), ("if-modified-since", True), ("if-unmodified-since", True)]
    + [("if-range", False), ("range", False), ("accept-encoding", False)],
)
def test_what_may_need_no_byte_of_the_file(name: str, conditional: bool) -> None:
    assert AssetRequest.from_headers("GET", [(name.encode(), b"x")]).conditional is conditional


def test_a_part_is_wanted_when_if_range_allows_it() -> None:
    asked = [(b"range", b"bytes=0-1")]
    assert AssetRequest.from_headers("GET", asked).wants_part(VALIDATORS, 0)
    assert AssetRequest.from_headers("GET", [*asked, (b"if-range", b'"x"')]).wants_part(VALIDATORS, 0)
    assert not AssetRequest.from_headers("GET", [*asked, (b"if-range", b'"y"')]).wants_part(VALIDATORS, 0)
    assert not AssetRequest.from_headers("GET", [(b"if-range", b'"x"')]).wants_part(VALIDATORS, 0)


names = st.sampled_from([b"range", b"if-range", b"if-match", b"if-none-match", b"accept-encoding", b"host"])


@given(st.sampled_from(["GET", "HEAD"]), st.lists(st.tuples(names, st.binary())))
def test_no_header_raises(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    AssetRequest.from_headers(method, headers).wants_part(VALIDATORS, 0)
