"""This module owns how serving reads a directory: on the event loop for as long as nothing can block it.

Bytes that the page cache holds are copied out in a few microseconds, less than it takes to hand
the work to a thread. Linux says at once whether it holds them (``preadv2(2)``, ``RWF_NOWAIT``);
what it does not hold is read in a thread, and so is everything where the flag is missing. Looking
at a file and opening it are done on the loop too, except on a file system that is a server's.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import WHOLE, Backend, FileStat, OpenFile, Span
from assetstore.backends.reader import MAX_THREADS, AsyncOpenFile, Mark, Reader, ThreadReader
from assetstore.errors import AssetStoreError, VersionChanged

#: For how long a file is held open, in seconds.
HELD_SECONDS = 1.0
#: Files that are held open at once. A page has fewer; a process may often open no more than 1024.
MAX_HELD = 64


class BytesFile:
    """One open file, of which the page cache had the bytes ``start`` to ``stop`` a moment ago.

    It is closed when nobody has it any more, and so never while another thread reads it.
    """

    __slots__ = ("descriptor", "mark", "start", "stop")

    def __init__(self, descriptor: int, mark: Mark, start: int, stop: int) -> None:
        self.descriptor = descriptor
        self.mark = mark
        self.start = start
        self.stop = stop

    def __del__(self) -> None:
        os.close(self.descriptor)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was written into it since it was marked: that changes this time of a file first."""
        return os.fstat(self.descriptor).st_ctime_ns == self.mark.ctime_ns


class HeldFiles:
    """The files of one directory that are held open, on any number of threads."""

    def __init__(self) -> None:
        self._by_path: dict[str, BytesFile] = {}
        #: The file that is held of a path, or ``None``.
        self.get = self._by_path.get
        self._lock = threading.Lock()
        #: When the timer that closes them rings, by :func:`time.monotonic`.
        self._closing_at = 0.0

    def __len__(self) -> int:
        return len(self._by_path)

    def hold(self, path: str, file: BytesFile) -> None:
        """Hold *file* open, in the place of what was held of *path*; the one that was held longest makes room."""
        with self._lock:
            if not self._will_be_closed():
                return
            self._by_path.pop(path, None)
            while len(self._by_path) >= MAX_HELD:
                del self._by_path[next(iter(self._by_path))]
            self._by_path[path] = file

    def let_go(self, path: str) -> None:
        """Hold *path* no longer: it has changed, or its name is looked at again."""
        if path in self._by_path:  # hardly ever, and this is asked often
            with self._lock:
                self._by_path.pop(path, None)

    def close(self) -> None:
        """Hold none of them any longer."""
        with self._lock:
            self._by_path.clear()
            self._closing_at = 0.0

    def _will_be_closed(self) -> bool:
        """Whether a timer rings soon. None does outside of an event loop; one may have been stopped with its loop."""
        now = time.monotonic()
        if now < self._closing_at:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._closing_at = now + HELD_SECONDS
        loop.call_later(HELD_SECONDS, self.close)
        return True


#: Bytes read at a time. Smaller pieces cost more calls, larger ones fresh pages of memory.
PIECE_BYTES = 256 * 1024

# File systems whose every call may wait for another machine or process.
_FAR = {
    "9p",
    "afs",
    "ceph",
    "cifs",
    "davfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "virtiofs",
}
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)


class DescriptorFile(OpenFile, Protocol):
    """An opened file of this machine."""

    @property
    def real_path(self) -> str | None:
        """A path without links that leads to it; ``None`` if none does."""

    def fileno(self) -> int:
        """Its descriptor; negative once it is closed."""

    def check(self) -> None:
        """Raise :class:`VersionChanged` if anything about the file changed since it was opened."""


class LocalFiles(Backend, Protocol):
    """A backend whose files are files of this machine."""

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> DescriptorFile:
        """As :meth:`Backend.open`."""

    def mark(self, path: str) -> Mark:
        """As :meth:`MarkingReader.mark`."""

    def glance(self, path: str) -> int:
        """As :meth:`MarkingReader.glance`."""

    def open_marked(self, path: str, mark: Mark) -> int | None:
        """A descriptor of the file that has that *mark*, for the caller to close; ``None`` if it is another."""


class LocalReader:
    """Reads on the event loop; in a bounded number of threads what would block it."""

    def __init__(self, backend: LocalFiles, *, max_threads: int = MAX_THREADS) -> None:
        self._backend = backend
        self._mark = backend.mark
        #: As :meth:`Marking.glance`, without a call on the way: it is asked a second for each file that is hot.
        self.glance = backend.glance
        self._limiter = CapacityLimiter(max_threads)
        self._cached = _CachedBytes()
        self._held = HeldFiles()

    async def stat(self, path: str) -> FileStat:
        return self._backend.stat(path)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        opened = self._backend.open(path, span, validator=validator)
        return _LocalOpenFile(opened, self._cached.read, self._limiter)

    def mark(self, path: str) -> Mark:
        self._held.let_go(path)
        return self._mark(path)

    def path_of(self, path: str, mark: Mark) -> str | None:
        try:
            opened = self._backend.open(path)
        except AssetStoreError:
            return None
        try:
            return opened.real_path if opened.stat.signature == mark else None
        finally:
            opened.close()

    def read_now(self, path: str, mark: Mark, start: int, stop: int) -> bytes | None:
        held = self._held.get(path)
        if held is None or held.mark != mark or start < held.start or stop > held.stop:
            return self._read_anew(path, mark, start, stop)
        # What was in the page cache within this second is there still: it is the last that the system drops.
        try:
            piece = os.pread(held.descriptor, stop - start, start)
        except OSError:
            piece = b""
        if len(piece) == stop - start and held.is_unchanged:
            return piece
        self._held.let_go(path)
        return None

    def _read_anew(self, path: str, mark: Mark, start: int, stop: int) -> bytes | None:
        descriptor = self._backend.open_marked(path, mark) if stop - start <= PIECE_BYTES else None
        if descriptor is None:
            return None
        file = BytesFile(descriptor, mark, start, stop)
        piece = self._cached.read(descriptor, start, stop)
        if len(piece) != stop - start or not file.is_unchanged:  # asked when the bytes are here, and cannot change
            return None
        self._held.hold(path, file)
        return piece

    async def aclose(self) -> None:
        """Close what is held open."""
        self._held.close()


class _LocalOpenFile:
    __slots__ = ("_limiter", "_opened", "_read_cached", "stat")

    def __init__(
        self, opened: DescriptorFile, read_cached: Callable[[int, int, int], bytes], limiter: CapacityLimiter
    ) -> None:
        self.stat = opened.stat
        self._opened = opened
        self._read_cached = read_cached
        self._limiter = limiter

    @property
    def real_path(self) -> str | None:
        """Where the bytes are on this machine's disk, if they are."""
        return self._opened.real_path

    def path_to_it(self) -> str | None:
        """As :meth:`FileOnDisk.path_to_it`."""
        try:
            self._opened.check()
        except (VersionChanged, OSError):
            return None
        return self._opened.real_path

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            piece = self._read_cached(self._opened.fileno(), start, min(stop, start + PIECE_BYTES))
            if not piece:  # not in memory, or at the end of a file that became shorter
                piece = await to_thread.run_sync(self._wait, start, stop, limiter=self._limiter)
            start += len(piece)
            if start >= stop:  # what was read is of the version that was opened, or the last piece is not given
                self._opened.check()
            yield piece

    def _wait(self, start: int, stop: int) -> bytes:
        return next(iter(self._opened.chunks(start, min(stop, start + PIECE_BYTES))))

    async def aclose(self) -> None:
        self._opened.close()


class _CachedBytes:
    """Reads what the page cache holds. Buffers are kept, since a fresh one costs more than the copy out of it."""

    def __init__(self) -> None:
        self._of_thread = _Buffer()

    def read(self, descriptor: int, start: int, stop: int) -> bytes:
        """The bytes from *start* on that are in memory, at most up to *stop*; none if they would have to be waited for."""
        if not _NO_WAIT:
            return b""
        wanted = self._of_thread.view[: stop - start]
        try:
            read = os.preadv(descriptor, [wanted], start, _NO_WAIT)
        except OSError:  # not in memory; or a file system without the flag; or a fault that the thread will tell
            return b""
        return bytes(wanted if read == len(wanted) else wanted[:read])


class _Buffer(threading.local):
    """What one thread reads into."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(PIECE_BYTES))


def reader_for(backend: LocalFiles, directory: str) -> Reader:
    """How to read *directory*: on the loop, or in threads where each call may wait for another machine."""
    return ThreadReader(backend) if is_far(directory) else LocalReader(backend)


def is_far(directory: str, mounts: str = "/proc/self/mounts") -> bool:
    """Whether *directory* lies on a network's file system, or one that another process answers for.

    *mounts* lists file systems as Linux does (``fstab(5)``); where there is no such list, none is known to be far.
    """
    kinds: dict[str, str] = {}
    with suppress(OSError), open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            _, place, kind, *_ = line.split(" ")
            kinds[_unescaped(place)] = kind
    here = os.path.realpath(directory)
    while here not in kinds and here != os.path.dirname(here):
        here = os.path.dirname(here)
    kind = kinds.get(here, "")
    return kind in _FAR or kind.partition(".")[0] == "fuse"


def _unescaped(place: str) -> str:
    for character in " \t\n\\":
        place = place.replace(f"\\{ord(character):03o}", character)
    return place
