"""This module owns whether files are still the ones that an answer was made of.

Every remembered URL is asked about once in a while, each with the few files that were looked at for
it, so this is kept short: a file that is there is asked for its mark; that nothing was added beside
it is told by the mark of its folder, which the files of one folder ask for together.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from assetstore.backends.readers import NO_FILE, Mark

#: For how long an answer stands before the files behind it are looked at again. Less than the
#: second within which a saved file must be seen, by more than :data:`SHARED_SECONDS`.
CHECK_SECONDS = 0.9
#: For how long all files of a folder share what it looked like.
SHARED_SECONDS = 0.05
#: For how long a folder has to be left alone until its mark tells that nothing was added to it.
SETTLED_SECONDS = 2
#: Folders whose marks are shared at once.
MAX_FOLDERS = 1024


class Folder(NamedTuple):
    """What a folder looked like; while that stays so, it is the same object."""

    path: str
    mark: Mark | None


class Lookout:
    """What the files of one storage look like now, and what its folders looked like a moment ago.

    Args:
        mark: the mark of a path; ``None`` where nothing can tell.
    """

    def __init__(self, mark: Callable[[str], Mark | None]) -> None:
        self.mark = mark
        self._folders: dict[str, tuple[float, Folder]] = {}

    def folder(self, path: str) -> Folder:
        """A folder as it was :data:`SHARED_SECONDS` ago, or less."""
        now = time.monotonic()
        known = self._folders.get(path)
        if known is not None and now < known[0]:
            return known[1]
        folder = Folder(path, self.mark(path))
        if known is not None and known[1] == folder:
            folder = known[1]
        elif len(self._folders) >= MAX_FOLDERS:
            self._folders.clear()
        self._folders[path] = now + SHARED_SECONDS, folder
        return folder


class Witness:
    """Knows what the files looked like before they were read, and so whether they are still the same.

    Most of the names that are looked at do not exist: variants, retained versions. That they still
    do not is told by their folder's mark, unless that was young when it was taken: two changes
    within one tick of the file system's clock leave the same mark.
    """

    __slots__ = ("_absent", "_lookout", "_marks", "_settled", "until")

    def __init__(self, lookout: Lookout | None, paths: Iterable[str]) -> None:
        #: When to look at them again, by :func:`time.monotonic`.
        self.until = time.monotonic() + CHECK_SECONDS
        paths = () if lookout is None else tuple(paths)
        self._settled = () if lookout is None else _settled(lookout, paths)
        marks = () if lookout is None else tuple([(path, lookout.mark(path)) for path in paths])
        self._marks = tuple([each for each in marks if each[1] != NO_FILE])
        self._absent = tuple([path for path, mark in marks if mark == NO_FILE])
        self._lookout = None if any(mark is None for _, mark in marks) else lookout

    def mark_of(self, path: str) -> Mark | None:
        """The mark of a file that was looked at; ``None`` if it was not there."""
        return dict(self._marks).get(path)

    @property
    def is_early(self) -> bool:
        """Whether a file is of the future: what is said of its time will change though the file does not."""
        now = time.time_ns()
        return any(mark is not None and mark.mtime_ns > now for _, mark in self._marks)

    def saw_the_same_as(self, other: Witness) -> bool:
        """Whether both saw every file in the same state."""
        return (self._marks, self._absent) == (other._marks, other._absent)

    def holds(self) -> bool:
        """Look again: whether every file is the one it was. Where files have no marks, only time tells."""
        lookout = self._lookout
        if lookout is None:
            return False
        for path, mark in self._marks:
            if lookout.mark(path) != mark:
                return False
        if not self._nothing_was_added(lookout):
            self._settled = _settled(lookout, self._absent)
            if not all(lookout.mark(path) == NO_FILE for path in self._absent):
                return False
        self.until = time.monotonic() + CHECK_SECONDS
        return True

    def _nothing_was_added(self, lookout: Lookout) -> bool:
        for folder in self._settled:
            if lookout.folder(folder.path) != folder:
                return False
        return bool(self._settled)


def _settled(lookout: Lookout, paths: Iterable[str]) -> tuple[Folder, ...]:
    """The folders of *paths*, if every one of them has been left alone for a while; else none."""
    settled_ns = time.time_ns() - SETTLED_SECONDS * 10**9
    folders = [lookout.folder(path) for path in {posixpath.dirname(path) for path in paths}]
    young = any(mark is None or mark.ctime_ns >= settled_ns for _, mark in folders)
    return () if young else tuple(folders)
