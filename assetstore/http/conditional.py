"""Validators and preconditions (RFC 9110 sections 8.8 and 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from assetstore.util.dates import parse_http_date

# Section 8.8.3: visible characters but the quote, and obs-text.
_ETAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')
_COMMA = re.compile(r"[ \t]*(?:,[ \t]*)+")


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag: the opaque part without its quotes, and whether it is weak."""

    opaque: str
    weak: bool = False

    @classmethod
    def from_header(cls, value: str) -> ETag | None:
        """Read one entity tag; ``None`` when it is none."""
        match = _ETAG.fullmatch(value.strip(" \t"))
        return cls(match[2], match[1] is not None) if match else None

    def to_header(self) -> str:
        """As an ETag header has it."""
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    def strongly_equals(self, other: ETag | None) -> bool:
        """Both are strong and the same (section 8.8.3.2)."""
        return other is not None and not self.weak and not other.weak and self.opaque == other.opaque

    def weakly_equals(self, other: ETag | None) -> bool:
        """The same, weak or not."""
        return other is not None and self.opaque == other.opaque


@dataclass(frozen=True, slots=True)
class ETagList:
    """What If-Match and If-None-Match hold: any (``*``), or a list of tags."""

    tags: tuple[ETag, ...] = ()
    any: bool = False

    @classmethod
    def from_header(cls, value: str) -> ETagList:
        """Read a list up to its first fault; one that cannot be read at all matches nothing."""
        value = value.strip(" \t,")
        if value == "*":
            return cls(any=True)
        tags = []
        position = 0
        while match := _ETAG.match(value, position):
            tags.append(ETag(match[2], match[1] is not None))
            comma = _COMMA.match(value, match.end())
            if comma is None:
                break
            position = comma.end()
        return cls(tuple(tags))


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a representation from the next.

    ``modified`` is in whole seconds since the epoch. Either is ``None`` where the backend says
    nothing that would tell two versions apart; then nothing is ever taken for unmodified by it.
    """

    etag: ETag | None
    modified: int | None = None


class Verdict(Enum):
    """What preconditions make of a request."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The four precondition headers of one request, unread; and If-Range."""

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_range: str | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Preconditions:
        """Pick them from lower-case header names."""
        return cls(
            headers.get("if-match"),
            headers.get("if-unmodified-since"),
            headers.get("if-none-match"),
            headers.get("if-modified-since"),
            headers.get("if-range"),
        )

    def evaluate(self, validators: Validators, now: float) -> Verdict:
        """Judge a GET or HEAD, in the order of section 13.2.2.

        1. If-Match decides where it is present, by strong comparison.
        2. Else If-Unmodified-Since, where the file has a time.
        3. If-None-Match decides where it is present, by weak comparison.
        4. Else If-Modified-Since, where the file has a time.

        A date that is none, or lies after *now* (seconds since the epoch), is ignored.
        """
        if self.if_match is not None:
            listed = ETagList.from_header(self.if_match)
            if not listed.any and not any(tag.strongly_equals(validators.etag) for tag in listed.tags):
                return Verdict.FAILED
        elif self._is_older(self.if_unmodified_since, validators, now) is True:
            return Verdict.FAILED
        if self.if_none_match is not None:
            listed = ETagList.from_header(self.if_none_match)
            if listed.any or any(tag.weakly_equals(validators.etag) for tag in listed.tags):
                return Verdict.NOT_MODIFIED
        elif self._is_older(self.if_modified_since, validators, now) is False:
            return Verdict.NOT_MODIFIED
        return Verdict.PROCEED

    @staticmethod
    def _is_older(value: str | None, validators: Validators, now: float) -> bool | None:
        """Whether the date is older than the file; ``None`` when there is nothing to compare."""
        if value is None or validators.modified is None:
            return None
        seconds = parse_http_date(value, now)
        return None if seconds is None or seconds > now else seconds < validators.modified

    def allow_range(self, validators: Validators, now: float) -> bool:
        """Whether a Range may be honoured (section 13.1.5): no If-Range, or one that matches exactly.

        A date matches only when it is a strong validator, that is when the second in which the
        file was modified is over (section 8.8.2.2).
        """
        if self.if_range is None:
            return True
        tag = ETag.from_header(self.if_range)
        if tag is not None:
            return tag.strongly_equals(validators.etag)
        if validators.modified is None or now < validators.modified + 1:
            return False
        return parse_http_date(self.if_range, now) == validators.modified
