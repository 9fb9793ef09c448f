"""This module owns what a check finds: each thing that was looked at, and for a fault what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Item(Enum):
    """What is looked at; the value is how people are told of it."""

    STATUS = "answers"
    BYTES = "right bytes"
    IMMUTABLE = "immutable intact"
    PLAIN = "plain files revalidated"
    TYPE = "content type"
    CORS = "CORS intact"
    ISOLATION = "nosniff and resource policy intact"
    ETAG = "ETag and If-None-Match"
    MODIFIED = "Last-Modified and If-Modified-Since"
    COMPRESSION = "compression of text"
    RANGES = "ranges"
    KEPT = "kept by the cache"
    MIXED = "304 kept apart from 200"
    MISSING = "missing names not cached"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    item: Item
    url: str
    #: What was seen, where it is a fault; empty where all is well.
    saw: str = ""
    #: What to change, one sentence; empty where all is well.
    change: str = ""

    @property
    def fault(self) -> bool:
        """Whether something has to be changed."""
        return bool(self.saw)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one check found."""

    base: str
    release: str
    files: int
    requests: int
    findings: Sequence[Finding]

    @property
    def faults(self) -> list[Finding]:
        """What has to be changed."""
        return [each for each in self.findings if each.fault]

    def counts(self, item: Item) -> tuple[int, int]:
        """How often *item* was looked at, and how often it was a fault."""
        looked = [each for each in self.findings if each.item is item]
        return len(looked), sum(each.fault for each in looked)
