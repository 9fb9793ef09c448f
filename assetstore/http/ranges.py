"""Byte ranges as HTTP spells them (RFC 9110 section 14).

Inside, a range is a half-open :class:`~assetstore.backends.base.Span`; inclusive ends exist only
here, at the header. What cannot be read is no range at all: the whole file is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assetstore.backends.base import WHOLE, Span

#: More ranges than this in one request are answered with the whole file, so that many tiny or
#: overlapping ones cannot make the response larger than the file (RFC 9110 section 17.15).
MAX_RANGES = 32

# Beyond any file: a position with more digits is clamped to this, as int() refuses absurd lengths.
_FAR = 1 << 63
_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)
_NOTHING = Span(0, 0)


@dataclass(frozen=True, slots=True)
class RangeSet:
    """The ranges that one request asks for, as the client ordered them."""

    spans: tuple[Span, ...]

    @classmethod
    def from_header(cls, value: str) -> RangeSet | None:
        """Read a Range header; ``None`` when it is to be ignored (section 14.2).

        That is: an unknown unit, bad syntax anywhere, a range that ends before it begins, or more
        than :data:`MAX_RANGES`.
        """
        unit, found, listed = value.partition("=")
        if not found or unit.strip().lower() != "bytes" or listed.count(",") >= 2 * MAX_RANGES:
            return None
        specs = [spec for spec in (each.strip(" \t") for each in listed.split(",")) if spec]
        if not 0 < len(specs) <= MAX_RANGES:
            return None
        spans = []
        for spec in specs:
            span = _read(spec)
            if span is None:
                return None
            spans.append(span)
        return cls(tuple(spans))

    @property
    def hint(self) -> Span:
        """What a backend may fetch first: the one range, or the whole for several."""
        return self.spans[0] if len(self.spans) == 1 else WHOLE

    def select(self, size: int) -> tuple[tuple[int, int], ...]:
        """The satisfiable parts of a file of *size* bytes as ``(start, stop)``, in rising order.

        Parts that overlap or touch are one (section 15.3.7.2). Empty when none is satisfiable.
        """
        parts: list[tuple[int, int]] = []
        for start, stop in sorted(span.within(size) for span in self.spans):
            if start == stop:
                continue
            if parts and start <= parts[-1][1]:
                parts[-1] = (parts[-1][0], max(stop, parts[-1][1]))
            else:
                parts.append((start, stop))
        return tuple(parts)


def _read(spec: str) -> Span | None:
    match = _SPEC.fullmatch(spec)
    if match is None or spec == "-":
        return None
    first, last = match.groups()
    if not first:
        length = _number(last)
        return Span(-length) if length else _NOTHING
    if not last:
        return Span(_number(first))
    start, stop = _number(first), _number(last) + 1
    return Span(start, stop) if start < stop else None


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else _FAR


def content_range(start: int, stop: int, size: int) -> str:
    """The Content-Range of one part (section 14.4)."""
    return f"bytes {start}-{stop - 1}/{size}"


def unsatisfied(size: int) -> str:
    """The Content-Range of a 416: how long the file is (section 15.5.17)."""
    return f"bytes */{size}"
