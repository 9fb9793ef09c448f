"""This module owns what a fingerprint is made of, and how it is spelled in a name.

A fingerprint is 64 lower-case hex digits, written between a file's name and its last extension:
``js/app.min.js`` becomes ``js/app.min-<64 hex>.js``. :func:`add` and :func:`split` are a pure
pair: ``split(add(path, fingerprint)) == (path, fingerprint)`` for every path.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import re
import threading
from collections import OrderedDict
from typing import Protocol, runtime_checkable

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import SettingsError

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


_STEM_AND_FINGERPRINT = re.compile(r"(?P<stem>.+)-(?P<fingerprint>[0-9a-f]{64})", re.DOTALL)
_DIGITS = 64

#: How many content fingerprints one mount remembers (about 300 bytes each).
REMEMBERED = 20_000


def add(path: str, fingerprint: str) -> str:
    """The fingerprinted path: *fingerprint* between the name and the last extension."""
    folder, name = posixpath.split(path)
    stem, ext = posixpath.splitext(name)
    return posixpath.join(folder, f"{stem}-{fingerprint}{ext}")


def split(path: str) -> tuple[str, str | None]:
    """The logical path and the fingerprint that *path* spells; ``(path, None)`` if it spells none."""
    if len(path) <= _DIGITS:  # there is no room for one
        return path, None
    folder, name = posixpath.split(path)
    root, ext = posixpath.splitext(name)
    match = _STEM_AND_FINGERPRINT.fullmatch(root)
    if match is None:
        return path, None
    logical, fingerprint = posixpath.join(folder, match["stem"] + ext), match["fingerprint"]
    # A stem of dots (".-<hex>.css") would come back spelled otherwise: then it is no fingerprint.
    return (logical, fingerprint) if add(logical, fingerprint) == path else (path, None)


@runtime_checkable
class Fingerprinter(Protocol):
    """What a mount makes its fingerprints of. A user's own object may be given as ``fingerprint=``."""

    #: Whether :meth:`of` may read the file, so that it does not belong on the event loop.
    reads: bool

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        """64 lower-case hex digits for the version that *stat* describes; ``None`` if it has none.

        Raises:
            BackendError, AssetNotFound: only where :attr:`reads` is true.
        """


class MtimeFingerprint:
    """SHA-256 of the modified time that the backend reports (guide section 6.2).

    The time is written as whole nanoseconds since the epoch, UTC, so no machine's time zone can
    enter it. Where the backend reports a validator as well, its times are coarse (S3 rounds to
    seconds) and the validator is hashed with the time.
    """

    reads = False

    def __init__(self) -> None:
        self._watch = MtimeWatch()

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        if stat.mtime_ns is None:
            self._watch.none_reported(backend.label)
            return None
        self._watch.see(stat, backend.label)
        made_of = str(stat.mtime_ns) if stat.validator is None else f"{stat.mtime_ns} {stat.validator}"
        return hashlib.sha256(made_of.encode()).hexdigest()


class ContentFingerprint:
    """SHA-256 of the bytes, remembered for as long as time, size and validator stay the same."""

    reads = True

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered: OrderedDict[FileStat, str] = OrderedDict()
        self._most = remembered
        self._lock = threading.Lock()

    def known(self, stat: FileStat) -> str | None:
        """The fingerprint if it needs no reading."""
        return stat.sha256 or self._remembered.get(stat)

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        known = self.known(stat)
        if known is not None:
            return known
        opened = backend.open(stat.path)
        try:
            if opened.stat.version != stat.version:
                return None
            digest = hashlib.sha256()
            for chunk in opened.chunks(0, opened.stat.size):
                digest.update(chunk)
        finally:
            opened.close()
        return self._remember(stat, digest.hexdigest())

    def _remember(self, stat: FileStat, fingerprint: str) -> str:
        with self._lock:
            self._remembered[stat] = fingerprint
            while len(self._remembered) > self._most:
                self._remembered.popitem(last=False)
        return fingerprint


def fingerprinter(choice: object) -> Fingerprinter | None:
    """The fingerprinter that ``fingerprint=`` names; ``None`` for ``False``.

    Raises:
        SettingsError: *choice* is none of the accepted values.
    """
    if choice is True or choice == "mtime":
        return MtimeFingerprint()
    if choice == "content":
        return ContentFingerprint()
    if choice is False:
        return None
    if isinstance(choice, Fingerprinter):
        return choice
    raise SettingsError(
        f"fingerprint={choice!r} is not known; give True or 'mtime', 'content', False, "
        "or an object with 'reads' and 'of(stat, backend)'"
    )
