"""This module owns which releases are kept, and what each of them holds.

A release is kept if it is live, among the last few, **or** young. Its age is the time that it
recorded itself; when the storage was written says nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from assetstore.errors import SettingsError
from assetstore.publish.ledger import Ledger, Record, ReleaseNote

_AGE = re.compile(r"(\d{1,6})\s*([smhdw])")
_NO_TIME = timedelta(0)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Keep:
    """The rule: the last *count* releases, and every one younger than *younger_than*."""

    count: int = 1
    younger_than: timedelta = _NO_TIME

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(f"keep={self.count} would keep no release; give 1 or more")

    def split(self, record: Record, now: datetime) -> tuple[tuple[ReleaseNote, ...], tuple[ReleaseNote, ...]]:
        """The releases that are kept, and those that are not; both oldest first."""
        last = {each.id for each in record.releases[-self.count :]} | {record.current.release}
        # A release of a machine whose clock runs ahead counts as made just now.
        young = {each.id for each in record.releases if max(now - each.published_at, _NO_TIME) < self.younger_than}
        kept = tuple(each for each in record.releases if each.id in last | young)
        return kept, tuple(each for each in record.releases if each.id not in last | young)


def age(text: str) -> timedelta:
    """Read an age: ``30d``, ``12h``, ``90m``, ``2w``, ``45s``.

    Raises:
        SettingsError: *text* is none.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"{text!r} is no age; a good one is '30d', '12h' or '90m'")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True, slots=True)
class Holding:
    """One release, and what the target holds only because of it."""

    note: ReleaseNote
    live: bool
    #: Objects that no other kept release needs, and their bytes.
    own_objects: int
    own_size: int


def holdings(books: Ledger, record: Record) -> list[Holding]:
    """Every kept release with what only it needs, oldest first.

    Raises:
        ManifestError: a kept release's manifest is missing or damaged.
    """
    needed: dict[str, Mapping[str, int]] = {each.id: needs(books, record, each.id) for each in record.releases}
    holders = Counter(name for names in needed.values() for name in names)
    return [_holding(each, each.id == record.current.release, needed[each.id], holders) for each in record.releases]


def needs(books: Ledger, record: Record, release: str) -> dict[str, int]:
    """The name and size of every object that *release* needs in the target."""
    manifest = record.current if release == record.current.release else books.manifest(release)
    return {each.path: each.size for each in manifest.objects()}


def _holding(note: ReleaseNote, live: bool, needed: Mapping[str, int], holders: Counter[str]) -> Holding:
    own = [size for name, size in needed.items() if holders[name] == 1]
    return Holding(note, live, len(own), sum(own))
