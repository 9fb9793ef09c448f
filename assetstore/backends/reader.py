"""How serving reads: the async face of a backend.

A :class:`Reader` is what the HTTP side awaits. Where a backend has a native way (a
``reader()`` method) that is used; everything else is lifted by :class:`ThreadReader`. Caching,
coalescing and deadlines are readers around readers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Protocol, runtime_checkable

import anyio
from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import WHOLE, Backend, FileSignature, FileStat, OpenFile, Span, siblings_of
from assetstore.errors import AssetNotFound, BackendError


class AsyncOpenFile(Protocol):
    """One opened version of a file, as serving reads it. Who opens, closes."""

    @property
    def stat(self) -> FileStat:
        """The facts of the version that is open."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes ``start`` to ``stop`` (half-open); raises as :meth:`OpenFile.chunks`."""

    async def aclose(self) -> None:
        """Give back the descriptor or connection; closing twice is harmless."""


class Reader(Protocol):
    """What serving awaits: the verbs of a backend, with the same arguments and errors."""

    async def stat(self, path: str) -> FileStat:
        """As :meth:`Backend.stat`."""

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        """As :meth:`Backend.open`."""

    async def aclose(self) -> None:
        """Release connections and threads, at shutdown."""


@runtime_checkable
class ReadsSiblings(Reader, Protocol):
    """A reader that can tell which files stand beside one version of a file."""

    async def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        """As :meth:`FindsSiblings.siblings`."""


async def siblings_by(reader: Reader, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
    """As :meth:`FindsSiblings.siblings`, by any reader."""
    if isinstance(reader, ReadsSiblings):
        return await reader.siblings(stat, suffixes)
    found: dict[str, FileStat] = {}
    complete = True
    for suffix in suffixes:
        try:
            found[suffix] = await reader.stat(stat.path + suffix)
        except AssetNotFound:
            continue
        except BackendError:
            complete = False
    return found, complete


#: The signature of a path where there is no file.
NO_FILE = FileSignature(0, 0, -1, 0, 0)


@runtime_checkable
class FileOnDisk(AsyncOpenFile, Protocol):
    """An opened file that a server may send by itself."""

    def path_to_it(self) -> str | None:
        """A path that leads to the very file that is open; ``None`` if none does any more."""


def buffered(opened: AsyncOpenFile | None, start: int, stop: int) -> bytes | None:
    """The bytes ``start`` to ``stop`` of *opened*, if they need not be waited for; ``None`` else.

    An opened file that can tell has a method ``buffered(start, stop)``.

    Raises:
        VersionChanged: the file was written to since it was opened.
    """
    # By its name, since a protocol is slow to compare with.
    method: Callable[[int, int], bytes | None] | None = getattr(opened, "buffered", None)
    return None if method is None else method(start, stop)


class Signatures(Protocol):
    """What can tell at once whether a file is still the one it was."""

    def signature(self, path: str) -> FileSignature | None:
        """What changes whenever *path* does; :data:`NO_FILE` where there is none, ``None`` where nothing can tell."""

    def signature_hash(self, path: str) -> int:
        """Hash of ``signature(path)``: cheaper, and enough to detect a change."""


@runtime_checkable
class SignatureReader(Signatures, Reader, Protocol):
    """A reader that can tell so: of files of this machine."""


@runtime_checkable
class HasReader(Protocol):
    """A backend that brings its own async way of reading."""

    def reader(self) -> Reader:
        """A new reader over the same place."""


@runtime_checkable
class HoldsVersions(Protocol):
    """A reader that keeps what it has read."""

    def held(self, path: str, validator: str) -> FileStat | None:
        """The facts of that version of *path*, if opening it needs no storage; ``None`` else.

        A version never changes, so this holds however long ago it was read.
        """

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """Something was published: forget what is cached of *paths*, or of every path."""

    def refute(self, stat: FileStat) -> None:
        """The bytes of this version are not those that it should have: keep nothing of it."""


@runtime_checkable
class Closing(Protocol):
    """A backend that keeps connections open; it can be used again after it was closed."""

    def close(self) -> None:
        """Close the idle ones."""


#: Threads that one mount may occupy at once.
MAX_THREADS = 16


class ThreadReader:
    """Any sync backend, lifted: each verb and each chunk is one call in a bounded thread pool."""

    def __init__(self, backend: Backend, *, max_threads: int = MAX_THREADS) -> None:
        self._backend = backend
        self._limiter = CapacityLimiter(max_threads)

    async def stat(self, path: str) -> FileStat:
        return await to_thread.run_sync(self._backend.stat, path, limiter=self._limiter)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        made: list[OpenFile] = []
        given_up: list[bool] = []

        def open_() -> None:
            made.append(self._backend.open(path, span, validator=validator))
            if given_up:
                _close_all(made)

        try:
            await to_thread.run_sync(open_, limiter=self._limiter)
        except BaseException:  # cancelled, for one: then the thread still opens it, for nobody
            given_up.append(True)
            _close_all(made)
            raise
        return _ThreadOpenFile(made[0], self._limiter)

    async def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        return await to_thread.run_sync(siblings_of, self._backend, stat, suffixes, limiter=self._limiter)

    async def aclose(self) -> None:
        """Close what the backend keeps open between calls, if it says that it does."""
        if isinstance(self._backend, Closing):
            await to_thread.run_sync(self._backend.close)


def _close_all(opened: list[OpenFile]) -> None:
    """Close each of *opened* once, although two threads may call this at the same time."""
    with suppress(IndexError):
        while True:
            opened.pop().close()


class _ThreadOpenFile:
    def __init__(self, opened: OpenFile, limiter: CapacityLimiter) -> None:
        self._opened = opened
        self._limiter = limiter

    @property
    def stat(self) -> FileStat:
        return self._opened.stat

    @property
    def real_path(self) -> str | None:
        """Where the bytes are on this machine's disk, if they are."""
        return getattr(self._opened, "real_path", None)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        iterator = iter(self._opened.chunks(start, stop))
        try:
            while (chunk := await to_thread.run_sync(next, iterator, b"", limiter=self._limiter)) != b"":
                yield chunk
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                with suppress(ValueError):  # a generator still running in an abandoned thread
                    close()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._opened.close, limiter=self._limiter)


def reader_of(backend: Backend) -> Reader:
    """The best reader that *backend* has."""
    return backend.reader() if isinstance(backend, HasReader) else ThreadReader(backend)
