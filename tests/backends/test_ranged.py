"""Reading one version of a remote file by ranges."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat, Span
from assetstore.backends.http import received_part, request_headers
from assetstore.backends.ranged import Download, SyncBody, SyncRangedFile
from assetstore.errors import BackendError, BodyTruncated, RangeNotSatisfiable, VersionChanged

DATA = bytes(range(200))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(), None),
        (Span(0, 1), "bytes=0-0"),
        (Span(5, 10), "bytes=5-9"),
        (Span(5), "bytes=5-"),
        (Span(-5), "bytes=-5"),
        (Span(-5, -1), None),
        (Span(5, 5), None),
    ],
)
def test_a_span_is_half_open_and_a_range_is_not(span: Span, expected: str | None) -> None:
    assert request_headers("a", span, None).get("Range") == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 5-9/200", (5, 10)),
        ("bytes 5-9/*", (5, 10)),
        ("", (0, 200)),
        ("bytes */200", (0, 200)),
        ("x", (0, 200)),
        (f"bytes 0-{'9' * 5000}/*", (0, 200)),
    ],
)
def test_what_arrives_is_what_the_answer_says(header: str, expected: tuple[int, int]) -> None:
    assert received_part({"content-range": header}, 200) == expected


def download(stat: FileStat, start: int, stop: int, data: bytes, bodies: list[io.BytesIO] | None = None) -> Download:
    raw = io.BytesIO(data)
    if bodies is not None:
        bodies.append(raw)
    return Download(stat, (start, stop), SyncBody(raw, lambda error: BackendError(str(error))))


def opened(version: str = "1", *, honest: bool = True, data: bytes = DATA) -> tuple[SyncRangedFile, list[Span]]:
    asked: list[Span] = []
    first = [download(FileStat("a", len(DATA), 1, "1"), 0, len(DATA), data)]

    def fetch(path: str, span: Span, validator: str | None) -> Download:
        if first:
            return first.pop()
        asked.append(span)
        start, stop = span.within(len(DATA)) if honest else (0, len(DATA))
        return download(FileStat(path, len(DATA), 1, version), start, stop, data[start:stop])

    return SyncRangedFile.open(fetch, "a", Span(), None), asked


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=6), st.booleans())
def test_any_parts_in_any_order_are_slices_even_of_a_server_that_ignores_ranges(
    parts: list[tuple[int, int]], honest: bool
) -> None:
    file, _ = opened(honest=honest)
    for start, stop in parts:
        assert b"".join(file.chunks(start, stop)) == DATA[start:stop]


def test_reading_on_asks_for_nothing_new() -> None:
    file, asked = opened()
    assert b"".join(file.chunks(0, 50)) + b"".join(file.chunks(50, 200)) == DATA
    assert asked == []


def test_another_version_is_never_read_on() -> None:
    file, _ = opened(version="2")
    with pytest.raises(VersionChanged):
        list(file.chunks(10, 20))


@pytest.mark.parametrize("shift", [1, 5, 15], ids=["in the middle of them", "at their end", "past them"])
def test_bytes_that_begin_after_the_ones_asked_for_are_not_taken_for_them(shift: int) -> None:
    bodies: list[io.BytesIO] = []

    def fetch(path: str, span: Span, validator: str | None) -> Download:
        start, stop = span.within(len(DATA))
        stat = FileStat(path, len(DATA), 1, "1")
        return download(stat, start + shift, stop + shift, DATA[start + shift :], bodies)

    file = SyncRangedFile.open(fetch, "a", Span(0, 1), None)
    with pytest.raises(BodyTruncated, match=f"'a' came from byte {10 + shift} on, and not from 10"):
        list(file.chunks(10, 15))
    assert all(each.closed for each in bodies)


def test_a_body_that_breaks_off_is_truncated() -> None:
    file, _ = opened(data=DATA[:100])
    with pytest.raises(BodyTruncated):
        list(file.chunks(0, 200))


@pytest.mark.parametrize("told", [None, 5])
def test_a_server_that_does_not_tell_the_size_is_asked_for_it(told: int | None) -> None:
    def fetch(path: str, span: Span, validator: str | None) -> Download:
        if span != Span():
            raise RangeNotSatisfiable("no", size=told)
        return download(FileStat(path, 5, 1, "1"), 0, 5, b"12345")

    with pytest.raises(RangeNotSatisfiable) as caught:
        SyncRangedFile.open(fetch, "a", Span(7, 9), None)
    assert caught.value.size == 5


@pytest.mark.parametrize("validator", ["a\r\nb", "ü", "\x00"])
def test_a_validator_that_no_header_can_hold_is_no_version(validator: str) -> None:
    with pytest.raises(VersionChanged):
        request_headers("a", Span(), validator)
