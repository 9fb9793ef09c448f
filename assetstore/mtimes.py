"""This module owns noticing modified times that tell nothing, and saying so once.

Container layers, Nix, Bazel, zip archives and some package managers set every file's time to
one fixed moment. A fingerprint made of such a time never changes while the response says
``immutable``, so the operator must hear of it.
"""

from __future__ import annotations

import logging

from assetstore.backends.base import FileStat

_log = logging.getLogger("assetstore")

#: How many files must share one time, to the nanosecond, before it counts as frozen.
ENOUGH = 20

_SECOND_NS = 1_000_000_000
#: Moments that build tools pin files to: the epoch (Nix: one second later), zip's first day in
#: 1980 in any time zone, and the day in 1985 that npm packs with.
_PINNED = (
    (0, 2 * _SECOND_NS),
    (315_446_400 * _SECOND_NS, 315_619_200 * _SECOND_NS),
    (499_162_500 * _SECOND_NS, 499_162_501 * _SECOND_NS),
)


class MtimeWatch:
    """Watches the times that one mount's fingerprints are made of."""

    def __init__(self) -> None:
        self._said = False
        self._first: int | None = None
        self._same: set[str] = set()
        self._varied = False

    def see(self, stat: FileStat, label: str) -> None:
        """Take note of one file's time."""
        if self._said or stat.mtime_ns is None:
            return
        if is_pinned(stat.mtime_ns):
            self._say(f"{stat.path!r} in {label} has a modified time that build tools pin files to")
        elif not self._varied:
            self._compare(stat, label)

    def none_reported(self, label: str) -> None:
        """Take note that the backend reports no times at all."""
        if not self._said:
            self._say(f"{label} reports no modified times, so its names carry no fingerprint")

    def _compare(self, stat: FileStat, label: str) -> None:
        if self._first is None:
            self._first = stat.mtime_ns
        if stat.mtime_ns != self._first:
            self._varied = True
            self._same.clear()
            return
        self._same.add(stat.path)
        if len(self._same) >= ENOUGH:
            self._say(f"{ENOUGH} files in {label} have the same modified time to the nanosecond")

    def _say(self, what: str) -> None:
        self._said = True
        _log.warning(
            "%s; URLs would not change when files do. Use fingerprint='content', or a published manifest.", what
        )


def is_pinned(mtime_ns: int) -> bool:
    """Whether *mtime_ns* is a moment that build tools pin files to."""
    return mtime_ns <= 0 or any(start <= mtime_ns < stop for start, stop in _PINNED)
