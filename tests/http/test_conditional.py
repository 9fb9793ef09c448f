"""Preconditions follow RFC 9110 section 13 in its own order, whatever a client writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.http.conditional import ETag, ETagList, Preconditions, Validators, Verdict
from assetstore.util.dates import write_http_date

MODIFIED = 1_000_000_000
NOW = MODIFIED + 1_000_000.0
VALIDATORS = Validators(ETag("x"), MODIFIED)
AT, BEFORE, AFTER = (write_http_date(MODIFIED + offset) for offset in (0, -1, 1))
FUTURE = write_http_date(int(NOW) + 100)
PROCEED, NOT_MODIFIED, FAILED = Verdict.PROCEED, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, PROCEED, id="nothing asked"),
        pytest.param({"if-none-match": '"x"'}, NOT_MODIFIED, id="the same tag"),
        pytest.param({"if-none-match": 'W/"x"'}, NOT_MODIFIED, id="a tag that a proxy weakened"),
        pytest.param({"if-none-match": '"a", W/"x"'}, NOT_MODIFIED, id="a list"),
        pytest.param({"if-none-match": '"a","x"'}, NOT_MODIFIED, id="a list without blanks"),
        pytest.param({"if-none-match": ' , "a" ,, "x" , '}, NOT_MODIFIED, id="a list with empty elements"),
        pytest.param({"if-none-match": "*"}, NOT_MODIFIED, id="anything"),
        pytest.param({"if-none-match": '"y"'}, PROCEED, id="another tag"),
        pytest.param({"if-none-match": '"a,x"'}, PROCEED, id="a comma inside a tag"),
        pytest.param({"if-none-match": "x"}, PROCEED, id="a tag without quotes"),
        pytest.param({"if-none-match": ""}, PROCEED, id="an empty list"),
        pytest.param({"if-none-match": '"y"', "if-modified-since": AT}, PROCEED, id="etag outranks date"),
        pytest.param({"if-none-match": "junk", "if-modified-since": AT}, PROCEED, id="even one that is junk"),
        pytest.param({"if-modified-since": AT}, NOT_MODIFIED, id="the same second"),
        pytest.param({"if-modified-since": AFTER}, NOT_MODIFIED, id="a later date"),
        pytest.param({"if-modified-since": BEFORE}, PROCEED, id="an earlier date"),
        pytest.param({"if-modified-since": FUTURE}, PROCEED, id="a date in the future is ignored"),
        pytest.param({"if-modified-since": "yesterday"}, PROCEED, id="no date is ignored"),
        pytest.param({"if-modified-since": "Sunday, 09-Sep-01 01:46:40 GMT"}, NOT_MODIFIED, id="RFC 850 form"),
        pytest.param({"if-modified-since": "Sun Sep  9 01:46:40 2001"}, NOT_MODIFIED, id="asctime form"),
        pytest.param({"if-match": '"x"'}, PROCEED, id="if-match hits"),
        pytest.param({"if-match": "*"}, PROCEED, id="if-match anything"),
        pytest.param({"if-match": '"y"'}, FAILED, id="if-match misses"),
        pytest.param({"if-match": 'W/"x"'}, FAILED, id="if-match is strong"),
        pytest.param({"if-match": "junk"}, FAILED, id="if-match that cannot be read matches nothing"),
        pytest.param({"if-match": '"x"', "if-unmodified-since": BEFORE}, PROCEED, id="if-match outranks its date"),
        pytest.param({"if-match": '"x"', "if-none-match": '"x"'}, NOT_MODIFIED, id="if-match, then if-none-match"),
        pytest.param({"if-match": '"y"', "if-none-match": '"x"'}, FAILED, id="if-match comes first"),
        pytest.param({"if-unmodified-since": AT}, PROCEED, id="unmodified since that second"),
        pytest.param({"if-unmodified-since": BEFORE}, FAILED, id="modified since"),
        pytest.param({"if-unmodified-since": "junk"}, PROCEED, id="if-unmodified-since without a date"),
        pytest.param({"if-unmodified-since": BEFORE, "if-none-match": '"x"'}, FAILED, id="412 comes before 304"),
    ],
)
def test_evaluate(headers: dict[str, str], expected: Verdict) -> None:
    assert Preconditions.from_headers(headers).evaluate(VALIDATORS, NOW) is expected


@pytest.mark.parametrize("header", ["if-modified-since", "if-unmodified-since"])
def test_a_file_without_a_time_has_no_dates_to_compare(header: str) -> None:
    for value in (AT, BEFORE, AFTER):
        verdict = Preconditions.from_headers({header: value}).evaluate(Validators(ETag("x")), NOW)
        assert verdict is Verdict.PROCEED


@pytest.mark.parametrize(
    ("if_range", "now", "expected"),
    [
        pytest.param(None, NOW, True, id="none"),
        pytest.param('"x"', NOW, True, id="the same tag"),
        pytest.param('W/"x"', NOW, False, id="a weak tag never"),
        pytest.param('"y"', NOW, False, id="another tag"),
        pytest.param('"x", "y"', NOW, False, id="a list is no tag"),
        pytest.param("*", NOW, False, id="a star is no tag"),
        pytest.param(AT, NOW, True, id="the exact date"),
        pytest.param(AFTER, NOW, False, id="a newer date"),
        pytest.param(BEFORE, NOW, False, id="an older date"),
        pytest.param(AT, MODIFIED + 0.5, False, id="a second that is not over is no strong validator"),
        pytest.param("junk", NOW, False, id="junk"),
    ],
)
def test_allow_range(if_range: str | None, now: float, expected: bool) -> None:
    assert Preconditions(if_range=if_range).allow_range(VALIDATORS, now) is expected


def test_a_date_in_if_range_needs_a_time() -> None:
    assert not Preconditions(if_range=AT).allow_range(Validators(ETag("x")), NOW)


opaque = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f', categories=None))
etags = st.builds(ETag, opaque.filter(lambda text: not any("\x7f" <= each < "\x80" for each in text)), st.booleans())


@given(etags)
def test_a_tag_that_is_written_is_read_again(tag: ETag) -> None:
    assert ETag.from_header(tag.to_header()) == tag


@given(st.lists(etags))
def test_every_list_of_legal_tags_is_read(tags: list[ETag]) -> None:
    assert ETagList.from_header(", ".join(tag.to_header() for tag in tags)) == ETagList(tuple(tags))
    assert ETagList.from_header("*") == ETagList(any=True)


@given(st.builds(Preconditions, st.text(), st.text(), st.text(), st.text(), st.text()))
def test_nothing_raises(preconditions: Preconditions) -> None:
    preconditions.evaluate(VALIDATORS, NOW)
    preconditions.allow_range(VALIDATORS, NOW)


def test_a_header_of_a_megabyte_is_read_in_no_time() -> None:
    for value in ('"a",' * 250_000, " ," * 500_000, '"' * 1_000_000, '"a"' + " " * 1_000_000 + "x"):
        ETagList.from_header(value)
