"""Versions and their blocks: which are the same, and which bytes a block holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.remote.blocks import BLOCK_BYTES, block_at, bounds, first_block, widen

APP = FileStat("app.css", 10, mtime_ns=5, validator="v1")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(APP, True, id="itself"),
        pytest.param(replace(APP, mtime_ns=6), True, id="a validator outranks the time"),
        pytest.param(replace(APP, sha256="00"), True, id="what is known besides tells nothing"),
        pytest.param(replace(APP, validator="v2"), False, id="another validator"),
        pytest.param(replace(APP, size=11), False, id="another size"),
        pytest.param(replace(APP, path="other.css"), False, id="another path"),
    ],
)
def test_what_makes_a_version(other: FileStat, same: bool) -> None:
    assert (other.version == APP.version) is same


def test_without_a_validator_the_time_tells() -> None:
    one = replace(APP, validator=None)
    assert one.version != replace(one, mtime_ns=6).version


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param(WHOLE, WHOLE, id="the whole stays the whole"),
        pytest.param(Span(5, 6), Span(0, BLOCK_BYTES), id="one byte is its block"),
        pytest.param(Span(BLOCK_BYTES, 2 * BLOCK_BYTES), Span(BLOCK_BYTES, 2 * BLOCK_BYTES), id="a block is itself"),
        pytest.param(Span(BLOCK_BYTES + 1, None), Span(BLOCK_BYTES, None), id="an open end stays open"),
    ],
)
def test_spans_are_widened_to_blocks(span: Span, expected: Span) -> None:
    assert widen(span) == expected


@given(st.integers(-3 * BLOCK_BYTES, 3 * BLOCK_BYTES), st.integers(0, 3 * BLOCK_BYTES), st.integers(0, 3 * BLOCK_BYTES))
def test_a_widened_span_begins_no_later_than_its_first_block(start: int, stop: int, size: int) -> None:
    span = Span(start, None if start < 0 else stop)
    block = first_block(span, size)
    wanted_start, wanted_stop = span.within(size)
    assert (block is None) == (wanted_start >= wanted_stop)
    if block is not None:
        begin, end = bounds(block, size)
        assert begin <= wanted_start < end <= size
        got_start, got_stop = widen(span).within(size)
        assert got_start <= begin
        assert got_stop >= bounds(block_at(wanted_stop - 1), size)[1]
