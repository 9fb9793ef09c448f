"""Revalidation: are the files still the ones that a cached response was made of.

Each cached URL is checked once in a while, with the few files that were looked at for it, so this is kept
short: of a file that is there the signature is compared; that nothing was added beside it follows from the
signature of its folder, which is read once for all files of the folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from assetstore.backends.base import FileSignature, FileStat
from assetstore.backends.reader import NO_FILE, Signatures

#: For how long a response stands before the files behind it are looked at again. Less than the
#: second within which a saved file must be seen, by more than :data:`SHARED_SECONDS`.
CHECK_SECONDS = 0.9
#: For how long all files of a folder share what it looked like.
SHARED_SECONDS = 0.09
#: For how long a folder has to be left alone until its signature tells that nothing was added to it.
SETTLED_SECONDS = 2
#: The state of a folder that tells nothing.
UNSETTLED = -1
#: Folders whose marks are shared at once.
MAX_FOLDERS = 1024


T = TypeVar("T")


class DirectoryState:
    """A folder as it looked before."""

    __slots__ = ("_signature", "_path", "_read", "state", "until")

    def __init__(self, path: str, read: Callable[[str], FileSignature | None]) -> None:
        self._path = path
        self._read = read
        self._signature = read(path)
        #: A number that changes whenever the folder does: a small one, which is one object wherever it stands.
        self.state = 0
        #: Until when what it looked like is good enough, by :func:`time.monotonic`.
        self.until = time.monotonic() + SHARED_SECONDS

    def look(self, now: float) -> None:
        """Look at it, *now* by :func:`time.monotonic`."""
        signature = self._read(self._path)
        if signature != self._signature:
            self._signature = signature
            self.state += 1
        self.until = now + SHARED_SECONDS

    @property
    def settled(self) -> int:
        """Its state, if it was left alone for a while before it was looked at; :data:`UNSETTLED` else."""
        young_ns = time.time_ns() - SETTLED_SECONDS * 10**9
        return UNSETTLED if self._signature is None or self._signature.ctime_ns >= young_ns else self.state


class DirectoryWatch:
    """What the files of one storage look like now, and what its folders looked like before."""

    def __init__(self, storage: Signatures) -> None:
        self.signature = storage.signature
        self.signature_hash = storage.signature_hash
        self._folders: dict[str, DirectoryState] = {}

    def folder(self, path: str) -> DirectoryState:
        """A folder as it was :data:`SHARED_SECONDS` ago, or less."""
        folder = self._folders.get(path)
        if folder is None:
            if len(self._folders) >= MAX_FOLDERS:
                self._folders.clear()
            folder = self._folders[path] = DirectoryState(path, self.signature)
        elif folder.until <= (now := time.monotonic()):
            folder.look(now)
        return folder


class Snapshot:
    """What the files of one request looked like when they were first looked at, whether or not they exist.

    Args:
        watch: on the storage that they are in; ``None`` where nothing there can tell.
        path: of the file that was requested; the others are in the same folder.
    """

    __slots__ = ("_changed", "_folder", "_latest_ns", "_settled", "_signatures", "_until", "_watch")

    def __init__(self, watch: DirectoryWatch | None, path: str = "") -> None:
        self._until = time.monotonic() + CHECK_SECONDS
        self._watch = watch
        # Looked at before the files: what is added to the folder from here on changes its state.
        self._folder = None if watch is None else watch.folder(path.rpartition("/")[0])
        self._settled = UNSETTLED if self._folder is None else self._folder.settled
        self._signatures: dict[str, FileSignature] = {}
        self._changed = False
        self._latest_ns = 0

    def saw(self, stat: FileStat) -> None:
        """Record a file as it was opened, or looked at."""
        if stat.signature is None:  # made of several files, so that only time tells
            self._watch = None
            return
        if self._signatures.setdefault(stat.path, stat.signature) != stat.signature:
            self._changed = True
        self._latest_ns = max(self._latest_ns, stat.signature.mtime_ns)

    def saw_none(self, path: str) -> None:
        """Record that *path* could not be opened as a file.

        A link that leads nowhere, and a folder, are there all the same; of these only time tells.
        """
        if self._watch is not None and self._watch.signature(path) != NO_FILE:
            self._watch = None
        if self._signatures.setdefault(path, NO_FILE) != NO_FILE:
            self._changed = True

    def is_absent(self, path: str) -> bool:
        """Whether the folder certainly has no file *path*, by one look at it, which is recorded."""
        return not self.not_absent([(None, path)])

    def not_absent(self, named: list[tuple[T, str]]) -> list[tuple[T, str]]:
        """Those of *named*, pairs of a name and a path, that are not certainly absent, by one look at each."""
        if self._watch is None:
            return named
        signature, signatures, left = self._watch.signature, self._signatures, []
        for each in named:
            if signature(each[1]) != NO_FILE:
                left.append(each)
            elif signatures.setdefault(each[1], NO_FILE) != NO_FILE:
                self._changed = True
        return left

    @property
    def is_keepable(self) -> bool:
        """Whether what was seen is one state of the files, of which nothing will be said otherwise before long.

        Not so where a file changed between two looks, or is of the future: then what is said of its time
        will change though the file does not.
        """
        return not self._changed and self._latest_ns <= time.time_ns()

    def revalidation(self) -> Revalidation:
        """What tells later whether the files still look so."""
        there, absent, state = [], [], 0
        for path, signature in self._signatures.items() if self._watch is not None else ():
            if signature == NO_FILE:
                absent.append(path)
            else:
                there.append(path)
                state = hash((state, hash(signature)))
        return Revalidation(self._until, self._watch, tuple(there), tuple(absent), state, self._folder, self._settled)


class Revalidation:
    """Whether the files of one cached URL are still those that it was made of.

    There is one for each URL, and by the time it is checked its memory is in no cache of the processor: so it
    holds little, and calls little.

    Most of the names that are looked at do not exist: siblings, retained versions. That they still do not follows
    from the signature of their folder, unless that was young when it was read: two changes within one tick of the
    file system's clock leave the same signature.
    """

    __slots__ = ("_absent", "_folder", "_watch", "_settled", "_state", "_there", "until")

    def __init__(
        self,
        until: float,
        watch: DirectoryWatch | None,
        there: tuple[str, ...],
        absent: tuple[str, ...],
        state: int,
        folder: DirectoryState | None,
        settled: int,
    ) -> None:
        #: When to look at them again, by :func:`time.monotonic`.
        self.until = until
        self._watch = watch
        self._there = there
        self._absent = absent
        #: What all that are there look like, in one number.
        self._state = state
        self._folder = folder
        #: The state of the folder that tells that the others are still absent.
        self._settled = settled

    def matches(self, other: Revalidation) -> bool:
        """Whether both saw every file in the same state."""
        return (self._state, self._there, self._absent) == (other._state, other._there, other._absent)

    def holds(self) -> bool:
        """Look again: whether every file is the one it was. Where files have no marks, only time tells."""
        watch = self._watch
        if watch is None:
            return False
        state = 0
        for path in self._there:
            state = hash((state, watch.signature_hash(path)))
        now = time.monotonic()
        if state != self._state or (self._absent and not self._are_absent(watch, now)):
            return False
        self.until = now + CHECK_SECONDS
        return True

    def _are_absent(self, watch: DirectoryWatch, now: float) -> bool:
        folder = self._folder
        if folder is None:
            return False
        if folder.until <= now:
            folder.look(now)
        if folder.state == self._settled:
            return True
        self._settled = folder.settled
        return all(watch.signature(path) == NO_FILE for path in self._absent)
