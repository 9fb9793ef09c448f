"""What a fingerprint is made of, and how it is written in a name.

A fingerprint is 64 lower-case hex digits, or the first 8 to 63 of them (``fingerprint_length=``), written between
a file's name and its last extension: ``js/app.min.js`` becomes ``js/app.min-<64 hex>.js``. :func:`add` and
:func:`split` are a pure pair: ``split(add(path, fingerprint), len(fingerprint)) == (path, fingerprint)``.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import re
import time
from collections.abc import Callable
from copy import copy
from typing import ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from assetstore.backends.base import Backend, FileStat
from assetstore.errors import SettingsError
from assetstore.names.digests import Digests
from assetstore.util.background import DeferredCache

_log = logging.getLogger("assetstore")

#: Digits of a whole fingerprint, and the fewest that a name may have: 32 bits.
LENGTH, SHORTEST = 64, 8
_HEX = re.compile(r"[0-9a-f]+")


def add(path: str, fingerprint: str) -> str:
    """The fingerprinted path: *fingerprint* between the name and the last extension."""
    stem, ext = posixpath.splitext(path)  # which looks no further than the last slash
    return f"{stem}-{fingerprint}{ext}"


def split(path: str, length: int = LENGTH) -> tuple[str, str | None]:
    """The logical path and the fingerprint that *path* spells; ``(path, None)`` if it spells none.

    Args:
        path: the path, fingerprinted or not.
        length: digits of the mount's fingerprints. One of 64 digits is always read.
    """
    if len(path) <= length:  # too short for one
        return path, None
    root, ext = posixpath.splitext(path)
    for digits in (LENGTH,) if length == LENGTH else (LENGTH, length):
        stem, fingerprint = root[: -digits - 1], root[-digits:]
        if root[-digits - 1 : -digits] == "-" and _HEX.fullmatch(fingerprint) and stem and not stem.endswith("/"):
            logical = stem + ext
            # A stem of dots (".-<hex>.css") would come back spelled otherwise: then it is no fingerprint.
            if add(logical, fingerprint) == path:
                return logical, fingerprint
    return path, None


def agree(one: str, other: str) -> bool:
    """Whether two fingerprints are the same in as many digits as the shorter one has."""
    return one.startswith(other) or other.startswith(one)


#: A modified time tells versions apart only where it has a part below one second, as editors, compilers and git
#: leave it. Archives, package managers and reproducible builds write whole seconds, often one for every release.
_SECOND_NS = 1_000_000_000
#: zip begins in 1980, and the epoch is before it: up to the end of 1980-01-02, which is 1980-01-01 in every time
#: zone, no time tells anything.
_EARLIEST_NS = 315_705_600 * _SECOND_NS
#: A file that was modified less than this ago may still be being written, so its time is not yet that of one save.
SAVED_NS = 2 * _SECOND_NS


def is_dated(mtime_ns: int | None, now_ns: int) -> bool:
    """Whether the modified time is one at which a file may have been modified: after 1980-01-02, and not in the future."""
    return mtime_ns is not None and _EARLIEST_NS <= mtime_ns <= now_ns


def is_telling(mtime_ns: int | None, now_ns: int) -> bool:
    """Whether the modified time tells one version from the next: it is dated, and has a part below one second."""
    return mtime_ns is not None and _EARLIEST_NS <= mtime_ns <= now_ns and mtime_ns % _SECOND_NS != 0


@runtime_checkable
class Fingerprinter(Protocol):
    """What a user's own object has that is given as ``fingerprint=``."""

    #: Whether :meth:`of` may read the file, so that it does not belong on the event loop.
    reads: bool

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        """64 lower-case hex digits for the version that *stat* describes; ``None`` if it has none.

        Raises:
            BackendError, AssetNotFound: only where :attr:`reads` is true.
        """


#: Gives the digest of a version, or ``None`` where it is not known (yet).
Digest = Callable[[FileStat, Backend], str | None]


class Fingerprint:
    """Makes the fingerprints of one mount's files; a fingerprint is that of one version of one path.

    What the backend decides by itself (of rewritten style sheets) comes first.
    """

    #: Whether :meth:`of` may read a file.
    reads: ClassVar[bool] = True

    def __init__(self, digests: Digests | None = None) -> None:
        #: The digests of the mount's files.
        self.digests = Digests() if digests is None else digests
        self._length = LENGTH
        #: Which paths get no fingerprint: pages, and names that have one already.
        self.leaves_out: Callable[[str], bool] = _nothing

    @property
    def length(self) -> int:
        """Digits of the mount's fingerprints."""
        return self._length

    def cut_to(self, length: int) -> Self:
        """The same, but for fingerprints of *length* digits."""
        cut = copy(self)  # it may be an object of the user's, for several mounts
        cut._length = length
        return cut

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        """The fingerprint of the version that *stat* describes, for which the file may be read here.

        Raises:
            BackendError, AssetNotFound: it was read, and could not be.
        """
        if self.leaves_out(stat.path):
            return None
        return self._cut(stat.fingerprint or self._make(stat, backend, self.digests.now))

    def soon(self, stat: FileStat, backend: Backend) -> str | None:
        """As :meth:`of`, but ``None`` for now where an event loop or the network would have to be waited for."""
        if self.leaves_out(stat.path):
            return None
        return self._cut(stat.fingerprint or self._make(stat, backend, self.digests.soon))

    def _cut(self, made: str | None) -> str | None:
        return made if made is None else made[: self._length]

    def is_of(self, fingerprint: str, stat: FileStat, backend: Backend) -> bool | None:
        """Whether *fingerprint* is that of this version and of no other; ``None`` if that is not known yet."""
        made = self.soon(stat, backend)
        if made is None or not agree(made, fingerprint):
            return None if made is None and self.needs_digest(stat) and not self.leaves_out(stat.path) else False
        return stat.fingerprint is not None or self._tells(stat, time.time_ns())

    def needs_digest(self, stat: FileStat) -> bool:
        """Whether the digest of this version goes into its fingerprint."""
        return stat.fingerprint is None

    def close(self) -> None:
        """End the background thread."""
        self.digests.close()

    def _make(self, stat: FileStat, backend: Backend, digest: Digest) -> str | None:
        raise NotImplementedError

    def _tells(self, stat: FileStat, now_ns: int) -> bool | None:
        """Whether the fingerprint of this version can be that of no other; ``None`` if that is not known yet."""
        return True


def _nothing(path: str) -> bool:
    return False


class MtimeFingerprint(Fingerprint):
    """``"mtime"``: SHA-256 of the modified time that the backend reports.

    The time is written as whole nanoseconds since the epoch, UTC, so no machine's time zone can
    enter it. Where the backend reports a validator as well, its times are coarse (S3 rounds to
    seconds) and the validator is hashed with the time.
    """

    reads = False

    def __init__(self, digests: Digests | None = None) -> None:
        super().__init__(digests)
        self._warned = False

    def _make(self, stat: FileStat, backend: Backend, digest: Digest) -> str | None:
        if stat.mtime_ns is None:
            self._warn(f"{backend.label} reports no modified times, so its names carry no fingerprint")
            return None
        if stat.validator is None and not is_telling(stat.mtime_ns, time.time_ns()):
            self._warn(
                f"{stat.path!r} in {backend.label} has a modified time that does not tell one version from the next, "
                "as build tools and archives leave it, so its URL is not sent as immutable"
            )
        return _of_time(stat, stat.validator)

    def _tells(self, stat: FileStat, now_ns: int) -> bool | None:
        if stat.validator is not None:
            return True
        if not is_telling(stat.mtime_ns, now_ns):
            return False
        return True if now_ns - (stat.mtime_ns or 0) >= SAVED_NS else None

    def needs_digest(self, stat: FileStat) -> bool:
        return False

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s; use fingerprint=True, 'content', or a published manifest.", what)


class TimeFingerprint(MtimeFingerprint):
    """``True``: SHA-256 of the modified time, with the digest of the bytes where the time alone tells too little.

    The digest then takes the place of the validator that a disk does not report. So a file that is
    touched gets a new name, and other bytes always do.
    """

    reads = True

    def _make(self, stat: FileStat, backend: Backend, digest: Digest) -> str | None:
        if not self.needs_digest(stat):
            return super()._make(stat, backend, digest)
        sha256 = digest(stat, backend)
        return None if sha256 is None else _of_time(stat, sha256)

    def needs_digest(self, stat: FileStat) -> bool:
        return (
            stat.fingerprint is None
            and stat.validator is None
            and stat.mtime_ns is not None
            and not is_telling(stat.mtime_ns, time.time_ns())
        )

    def _tells(self, stat: FileStat, now_ns: int) -> bool | None:
        return self.needs_digest(stat) or super()._tells(stat, now_ns)


class ContentFingerprint(Fingerprint):
    """``"content"``: SHA-256 of the bytes."""

    def _make(self, stat: FileStat, backend: Backend, digest: Digest) -> str | None:
        return digest(stat, backend)


class CustomFingerprint(Fingerprint):
    """A user's own; what reads files is made in the background where an event loop or the network would wait."""

    def __init__(self, own: Fingerprinter, digests: Digests | None = None) -> None:
        super().__init__(digests)
        self.own = own
        self._made: DeferredCache[_Version, str] = DeferredCache(
            self._of, key=_key, what="fingerprint", name="assetstore-fingerprint"
        )

    def needs_digest(self, stat: FileStat) -> bool:
        return False

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        return None if self.leaves_out(stat.path) else self._cut(stat.fingerprint or self.own.of(stat, backend))

    def soon(self, stat: FileStat, backend: Backend) -> str | None:
        if self.leaves_out(stat.path):
            return None
        if stat.fingerprint is not None or not self.own.reads:
            return self._cut(stat.fingerprint or self.own.of(stat, backend))
        version = _Version(stat, backend)
        return self._cut(self._made.soon(version) if backend.remote else self._made.get(version))

    def close(self) -> None:
        super().close()
        self._made.close()

    def _of(self, version: _Version) -> str | None:
        return self.own.of(*version)


class _Version(NamedTuple):
    stat: FileStat
    backend: Backend

    def __str__(self) -> str:
        return f"{self.stat.path!r} in {self.backend.label}"


def _key(version: _Version) -> object:
    return version.stat.version


def _of_time(stat: FileStat, validator: str | None) -> str:
    made_of = str(stat.mtime_ns) if validator is None else f"{stat.mtime_ns} {validator}"
    return hashlib.sha256(made_of.encode()).hexdigest()


def fingerprinter(choice: object, length: object = LENGTH) -> Fingerprint | None:
    """What ``fingerprint=`` and ``fingerprint_length=`` name; ``None`` for ``False``.

    Raises:
        SettingsError: one of them is none of the accepted values.
    """
    if not isinstance(length, int) or isinstance(length, bool) or not SHORTEST <= length <= LENGTH:
        raise SettingsError(f"fingerprint_length={length!r} is no number from {SHORTEST} to {LENGTH}; a good one is 16")
    made_of = _fingerprinter(choice)
    return made_of if made_of is None or made_of.length == length else made_of.cut_to(length)


def _fingerprinter(choice: object) -> Fingerprint | None:
    if choice is True:
        return TimeFingerprint()
    if choice == "mtime":
        return MtimeFingerprint()
    if choice == "content":
        return ContentFingerprint()
    if choice is False:
        return None
    if isinstance(choice, Fingerprint):
        return choice
    if isinstance(choice, Fingerprinter):
        return CustomFingerprint(choice)
    raise SettingsError(
        f"fingerprint={choice!r} is not known; give True, 'mtime', 'content', False, "
        "or an object with 'reads' and 'of(stat, backend)'"
    )


def fingerprint_of(stat: FileStat, fingerprint: Fingerprint | None, backend: Backend, *, soon: bool) -> str | None:
    """The fingerprint of the version that *stat* describes, where the mount makes any; see :meth:`Fingerprint.soon`."""
    if fingerprint is None:
        return stat.fingerprint
    return fingerprint.soon(stat, backend) if soon else fingerprint.of(stat, backend)
