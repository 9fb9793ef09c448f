"""How serving reads a directory: on the event loop for as long as nothing can block it.

Bytes that the page cache holds are copied out in a few microseconds, less than it takes to hand
the work to a thread. Linux says at once whether it holds them (``preadv2(2)``, ``RWF_NOWAIT``);
what it does not hold is read in a thread, and so is everything where the flag is missing. Looking
at a file and opening it are done on the loop too, except on a file system that is a server's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import WHOLE, Backend, FileSignature, FileStat, OpenFile, Span, siblings_of
from assetstore.backends.reader import MAX_THREADS, AsyncOpenFile, Reader, ThreadReader
from assetstore.errors import VersionChanged

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

    def signature(self, path: str) -> FileSignature:
        """As :meth:`Signatures.signature`."""

    def signature_hash(self, path: str) -> int:
        """As :meth:`Signatures.signature_hash`."""


class LocalReader:
    """Reads on the event loop; in a bounded number of threads what would block it."""

    def __init__(self, backend: LocalFiles, *, max_threads: int = MAX_THREADS) -> None:
        self._backend = backend
        self.signature = backend.signature
        #: As :meth:`Signatures.signature_hash`, without a call on the way: it is used each second for each hot file.
        self.signature_hash = backend.signature_hash
        self._limiter = CapacityLimiter(max_threads)
        self._cached = _CachedBytes()

    async def stat(self, path: str) -> FileStat:
        return self._backend.stat(path)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        opened = self._backend.open(path, span, validator=validator)
        return _LocalOpenFile(opened, self._cached.read, self._limiter)

    async def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        return siblings_of(self._backend, stat, suffixes)

    async def aclose(self) -> None:
        """There is nothing to close."""


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

    def buffered(self, start: int, stop: int) -> bytes | None:
        """As :func:`assetstore.backends.reader.buffered`: what the page cache holds of a short part.

        Raises:
            VersionChanged: the file was written to since it was opened.
        """
        if stop - start > PIECE_BYTES:
            return None
        content = self._read_cached(self._opened.fileno(), start, stop)
        if len(content) != stop - start:
            return None
        self._opened.check()
        return content

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
    return ThreadReader(backend) if is_network_filesystem(directory) else LocalReader(backend)


def is_network_filesystem(directory: str, mounts: str = "/proc/self/mounts") -> bool:
    """Whether *directory* lies on a network's file system, or one that another process answers for.

    *mounts* lists file systems as Linux does (``fstab(5)``); where there is no such list, none is known to be a network's.
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
