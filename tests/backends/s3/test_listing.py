"""A page of a listing is read by us as botocore would have read it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat
from assetstore.backends.s3.client import stats, take_rows
from assetstore.errors import UnexpectedResponse

TIME = "2024-01-02T03:04:05.000Z"
NS = 1_704_164_645 * 10**9
XMLNS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def row(key: str, size: str = "5", etag: str = "&quot;abc&quot;") -> str:
    facts = f"<LastModified>{TIME}</LastModified><ETag>{etag}</ETag><Size>{size}</Size>"
    return f"<Contents><Key>{key}</Key>{facts}<StorageClass>STANDARD</StorageClass></Contents>"


def page(*inside: str, xmlns: str = XMLNS) -> bytes:
    return f"<?xml version='1.0'?><ListBucketResult{xmlns}>{''.join(inside)}</ListBucketResult>".encode()


def taken(body: bytes, status: int = 200) -> tuple[dict[str, Any], bytes]:
    """The page as botocore would return it, and what is left for botocore's own parser."""
    response: dict[str, Any] = {"status_code": status, "body": body}
    customized: dict[str, Any] = {}
    take_rows(response, customized, operation_name="ListObjectsV2")
    return customized, response["body"]


def read(*rows: str, prefix: str = "") -> Sequence[FileStat]:
    return list(stats(taken(page(*rows))[0], prefix))


@pytest.mark.parametrize("xmlns", [XMLNS, "", ' xmlns="http://storage.example.com/"'])
def test_every_row_is_a_file_whatever_the_namespace(xmlns: str) -> None:
    found = list(stats(taken(page(row("a.css"), row("b.js", "0"), xmlns=xmlns))[0], ""))
    assert found == [FileStat("a.css", 5, NS, "abc"), FileStat("b.js", 0, NS, "abc")]


def test_the_prefix_is_no_part_of_a_path_and_what_is_not_beneath_it_is_not_there() -> None:
    assert [each.path for each in read(row("media/a.css"), row("mediaeval.css"), prefix="media/")] == ["a.css"]


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
def test_a_key_that_came_url_encoded_is_itself_again(key: str) -> None:
    assert read("<EncodingType>url</EncodingType>", row(escape(quote_plus(key))))[0].path == key


def test_a_key_that_did_not_is_left_alone() -> None:
    assert read(row("a+b%20c.css"))[0].path == "a+b%20c.css"


@pytest.mark.parametrize(
    ("etag", "validator"),
    [("&quot;abc-2&quot;", "abc-2"), ("W/&quot;abc&quot;", None), ("", None)],
    ids=["of parts", "a weak one", "none"],
)
def test_only_a_strong_tag_is_a_validator(etag: str, validator: str | None) -> None:
    assert read(row("a.css", etag=etag))[0].validator == validator


def test_botocore_is_left_an_empty_page_and_what_its_loop_looks_at() -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>"
    told, left = taken(page(row("a.css"), more))
    assert (told["IsTruncated"], told["NextContinuationToken"]) == (True, "next")
    assert b"a.css" not in left
    last, _ = taken(page(row("a.css"), "<IsTruncated>false</IsTruncated>"))
    assert last["IsTruncated"] is False
    assert "NextContinuationToken" not in last


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<Error><Code>AccessDenied</Code></Error>", 403), (b"<ListBucketResult><Contents>", 200)],
    ids=["a refusal", "a page that was cut short"],
)
def test_what_is_no_page_is_left_to_botocore(body: bytes, status: int) -> None:
    assert taken(body, status) == ({}, body)


def test_a_page_that_the_hook_did_not_see_tells_the_same() -> None:
    modified = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    rows = [{"Key": "a.css", "Size": 5, "LastModified": modified, "ETag": '"abc"'}]
    assert list(stats({"Contents": rows}, "")) == read(row("a.css"))
    assert list(stats({}, "")) == []


@pytest.mark.parametrize("size", ["z5", "-1", "9" * 5000, "1.5"])
def test_a_size_that_is_none_is_our_error(size: str) -> None:
    with pytest.raises(UnexpectedResponse, match=r"'a\.css' has the size"):
        taken(page(row("a.css", size)))


_TAGS = "Key Size LastModified ETag IsTruncated NextContinuationToken EncodingType Contents".split()


@given(st.lists(st.tuples(st.sampled_from(_TAGS), st.text(st.characters(blacklist_categories=["Cs", "Cc"])))))
def test_any_page_is_read_or_our_error(cells: list[tuple[str, str]]) -> None:
    inside = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in cells)
    with suppress(UnexpectedResponse):
        told, _ = taken(page(inside, f"<Contents>{inside}</Contents>"))
        assert all(stat.size >= 0 for stat in stats(told, ""))
