"""Range headers become half-open spans, and nothing a client writes can raise or amplify."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import WHOLE, Span
from assetstore.http.ranges import MAX_RANGES, RangeSet, content_range, unsatisfied


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        pytest.param("bytes=0-0", 10, ((0, 1),), id="a single byte is a range"),
        pytest.param("bytes=2-5", 10, ((2, 6),), id="ends are inclusive in the header"),
        pytest.param("bytes=-1", 10, ((9, 10),), id="the last byte"),
        pytest.param("bytes=-99999", 10, ((0, 10),), id="a suffix longer than the file is the file"),
        pytest.param("bytes=3-", 10, ((3, 10),), id="an open range goes to the end"),
        pytest.param("bytes=0-99999", 10, ((0, 10),), id="an end past the file is clamped"),
        pytest.param("bytes=9-9", 10, ((9, 10),), id="the very last byte"),
        pytest.param("bytes=10-", 10, (), id="a start at the end is not satisfiable"),
        pytest.param("bytes=-0", 10, (), id="the last zero bytes are not satisfiable"),
        pytest.param("bytes=0-1,5-6", 10, ((0, 2), (5, 7)), id="two ranges"),
        pytest.param("bytes=5-6,0-1", 10, ((0, 2), (5, 7)), id="in rising order"),
        pytest.param("bytes=0-4,3-6", 10, ((0, 7),), id="overlapping ranges are one"),
        pytest.param("bytes=0-4,5-6", 10, ((0, 7),), id="touching ranges are one"),
        pytest.param("bytes=0-8,2-3", 10, ((0, 9),), id="one inside another"),
        pytest.param("bytes=0-1,50-60", 10, ((0, 2),), id="the satisfiable one of two"),
        pytest.param("bytes=50-,60-", 10, (), id="none of two"),
        pytest.param("bytes=0-0, -1", 10, ((0, 1), (9, 10)), id="first and last"),
        pytest.param("bytes=0-", 0, (), id="an empty file has no first byte"),
        pytest.param("bytes=-5", 0, (), id="nor a last one"),
        pytest.param("BYTES=0-0", 10, ((0, 1),), id="the unit has no case"),
        pytest.param("bytes=,0-0,,", 10, ((0, 1),), id="empty list elements count for nothing"),
        pytest.param("bytes=0-" + "9" * 5000, 10, ((0, 10),), id="an absurd end"),
        pytest.param("bytes=" + "9" * 5000 + "-", 10, (), id="an absurd start"),
        pytest.param("bytes=-" + "9" * 5000, 10, ((0, 10),), id="an absurd suffix"),
        pytest.param("bytes=" + "0" * 5000 + "1-1", 10, ((1, 2),), id="leading zeros"),
    ],
)
def test_select(header: str, size: int, expected: tuple[tuple[int, int], ...]) -> None:
    ranges = RangeSet.from_header(header)
    assert ranges is not None
    assert ranges.select(size) == expected


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("items=0-1", id="an unknown unit"),
        pytest.param("bytes 0-1", id="no equals sign"),
        pytest.param("bytes=", id="no range"),
        pytest.param("bytes=-", id="a dash alone"),
        pytest.param("bytes=5", id="no dash"),
        pytest.param("bytes=5-2", id="an end before the start"),
        pytest.param("bytes=0-1,5-2", id="one bad range spoils the set"),
        pytest.param("bytes=--1", id="two dashes"),
        pytest.param("bytes=-1-2", id="a negative start"),
        pytest.param("bytes=a-b", id="letters"),
        pytest.param("bytes=0x1-2", id="hexadecimal"),
        pytest.param("bytes=1_0-20", id="digits as Python writes them"),
        pytest.param("bytes=٣-٤", id="digits of another script"),
        pytest.param("bytes=0 - 1", id="blanks inside"),
        pytest.param("bytes=0-1,bytes=2-3", id="two headers joined"),
        pytest.param("", id="nothing"),
        pytest.param("bytes=" + ",".join(["0-0"] * (MAX_RANGES + 1)), id="too many"),
        pytest.param("bytes=" + "," * 100_000, id="a hundred thousand commas"),
    ],
)
def test_what_cannot_be_read_is_ignored(header: str) -> None:
    assert RangeSet.from_header(header) is None


def test_one_range_is_a_hint_for_the_backend_and_several_are_none() -> None:
    assert RangeSet((Span(2, 6),)).hint == Span(2, 6)
    assert RangeSet((Span(-5),)).hint == Span(-5)
    assert RangeSet((Span(0, 1), Span(5, 6))).hint == WHOLE


def test_content_range_has_inclusive_ends() -> None:
    assert content_range(0, 1, 10) == "bytes 0-0/10"
    assert unsatisfied(0) == "bytes */0"


positions = st.integers(0, 10**12)
spans = st.one_of(
    st.builds(Span, positions),
    st.builds(lambda length: Span(-length), st.integers(1, 10**12)),
    st.builds(lambda start, length: Span(start, start + length), positions, st.integers(1, 10**6)),
    st.just(Span(0, 0)),
)


def range_spec(span: Span) -> str:
    if span == Span(0, 0):
        return "-0"
    if span.stop is None:
        return f"{span.start}" if span.start < 0 else f"{span.start}-"
    return f"{span.start}-{span.stop - 1}"


@given(st.lists(spans, min_size=1, max_size=MAX_RANGES).map(tuple))
def test_every_list_of_legal_ranges_is_read(wanted: tuple[Span, ...]) -> None:
    assert RangeSet.from_header("bytes=" + ",".join(map(range_spec, wanted))) == RangeSet(wanted)


@given(st.one_of(st.text(), st.text("bytes=-,0123456789 \t").map("bytes=".__add__)), st.integers(0, 1000))
def test_no_header_raises_and_no_answer_is_longer_than_the_file(header: str, size: int) -> None:
    ranges = RangeSet.from_header(header)
    if ranges is None:
        return
    parts = ranges.select(size)
    assert sum(stop - start for start, stop in parts) <= size
    assert all(0 <= start < stop <= size for start, stop in parts)
    assert all(before[1] < after[0] for before, after in zip(parts, parts[1:], strict=False))
