"""Revalidation: are the files still the ones that a cached response was made of.

Every remembered URL is asked about once in a while, each with the few files that were looked at for
it, so this is kept short: a file that is there is asked for its mark; that nothing was added beside
it is told by the mark of its folder, which the files of one folder ask for together.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterable

from assetstore.backends.base import FileSignature
from assetstore.backends.reader import NO_FILE, Signatures

#: For how long an answer stands before the files behind it are looked at again. Less than the
#: second within which a saved file must be seen, by more than :data:`SHARED_SECONDS`.
CHECK_SECONDS = 0.9
#: For how long all files of a folder share what it looked like.
SHARED_SECONDS = 0.09
#: For how long a folder has to be left alone until its mark tells that nothing was added to it.
SETTLED_SECONDS = 2
#: The state of a folder that tells nothing.
UNSETTLED = -1
#: Folders whose marks are shared at once.
MAX_FOLDERS = 1024


class DirectoryState:
    """A folder as it looked before."""

    __slots__ = ("_mark", "_path", "_read", "state", "until")

    def __init__(self, path: str, read: Callable[[str], FileSignature | None]) -> None:
        self._path = path
        self._read = read
        self._mark = read(path)
        #: A number that changes whenever the folder does: a small one, which is one object wherever it stands.
        self.state = 0
        #: Until when what it looked like is good enough, by :func:`time.monotonic`.
        self.until = time.monotonic() + SHARED_SECONDS

    def look(self, now: float) -> None:
        """Look at it, *now* by :func:`time.monotonic`."""
        mark = self._read(self._path)
        if mark != self._mark:
            self._mark = mark
            self.state += 1
        self.until = now + SHARED_SECONDS

    @property
    def settled(self) -> int:
        """Its state, if it was left alone for a while before it was looked at; :data:`UNSETTLED` else."""
        young_ns = time.time_ns() - SETTLED_SECONDS * 10**9
        return UNSETTLED if self._mark is None or self._mark.ctime_ns >= young_ns else self.state


class DirectoryWatch:
    """What the files of one storage look like now, and what its folders looked like before."""

    def __init__(self, storage: Signatures) -> None:
        self.mark = storage.mark
        self.signature_hash = storage.signature_hash
        self._folders: dict[str, DirectoryState] = {}

    def folder(self, path: str) -> DirectoryState:
        """A folder as it was :data:`SHARED_SECONDS` ago, or less."""
        folder = self._folders.get(path)
        if folder is None:
            if len(self._folders) >= MAX_FOLDERS:
                self._folders.clear()
            folder = self._folders[path] = DirectoryState(path, self.mark)
        elif folder.until <= (now := time.monotonic()):
            folder.look(now)
        return folder


class Snapshot:
    """What some files of one folder looked like before they were read, whether or not they exist.

    Args:
        lookout: on the storage that they are in; ``None`` where nothing there can tell.
        paths: of the files.
    """

    def __init__(self, lookout: DirectoryWatch | None, paths: Iterable[str]) -> None:
        self._until = time.monotonic() + CHECK_SECONDS
        paths = () if lookout is None else tuple(paths)
        self._folder = lookout.folder(posixpath.dirname(paths[0])) if lookout is not None and paths else None
        self._settled = UNSETTLED if self._folder is None else self._folder.settled
        self._marks = {} if lookout is None else {path: lookout.mark(path) for path in paths}
        self._lookout = None if None in self._marks.values() else lookout

    def mark_of(self, path: str) -> FileSignature | None:
        """The mark of a file that was looked at; ``None`` if it was not there."""
        mark = self._marks.get(path)
        return None if mark == NO_FILE else mark

    @property
    def is_early(self) -> bool:
        """Whether a file is of the future: what is said of its time will change though the file does not."""
        now = time.time_ns()
        return any(mark is not None and mark.mtime_ns > now for mark in self._marks.values())

    def revalidation(self) -> Revalidation:
        """Who will tell whether they still look so."""
        there, absent, state = [], [], 0
        for path, mark in self._marks.items() if self._lookout is not None else ():
            if mark == NO_FILE:
                absent.append(path)
            else:
                there.append(path)
                state = hash((state, hash(mark)))
        return Revalidation(self._until, self._lookout, tuple(there), tuple(absent), state, self._folder, self._settled)


class Revalidation:
    """Knows what the files looked like before they were read, and so whether they are still the same.

    There is one for each URL that is remembered, asked once in a while, when its memory is in no
    cache of the processor: so it is made of little, and calls little.

    Most of the names that are looked at do not exist: variants, retained versions. That they still
    do not is told by their folder's mark, unless that was young when it was taken: two changes
    within one tick of the file system's clock leave the same mark.
    """

    __slots__ = ("_absent", "_folder", "_lookout", "_settled", "_state", "_there", "until")

    def __init__(
        self,
        until: float,
        lookout: DirectoryWatch | None,
        there: tuple[str, ...],
        absent: tuple[str, ...],
        state: int,
        folder: DirectoryState | None,
        settled: int,
    ) -> None:
        #: When to look at them again, by :func:`time.monotonic`.
        self.until = until
        self._lookout = lookout
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
        lookout = self._lookout
        if lookout is None:
            return False
        state = 0
        for path in self._there:
            state = hash((state, lookout.signature_hash(path)))
        now = time.monotonic()
        if state != self._state or (self._absent and not self._are_absent(lookout, now)):
            return False
        self.until = now + CHECK_SECONDS
        return True

    def _are_absent(self, lookout: DirectoryWatch, now: float) -> bool:
        folder = self._folder
        if folder is None:
            return False
        if folder.until <= now:
            folder.look(now)
        if folder.state == self._settled:
            return True
        self._settled = folder.settled
        return all(lookout.mark(path) == NO_FILE for path in self._absent)
