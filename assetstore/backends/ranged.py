"""Ranged reads that are pinned to one version of a remote file, asynchronous and synchronous.

The algorithm is written once, asynchronously. The synchronous file runs it without an event loop,
over bodies that never wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.errors import BodyTruncated, RangeNotSatisfiable, VersionChanged

#: Bytes read at a time.
CHUNK_BYTES = 256 * 1024

T = TypeVar("T")


class Body:
    """The body of a response, with the errors of :mod:`assetstore.errors`."""

    async def read(self, size: int) -> bytes:
        """The next bytes, about *size* of them; ``b""`` at the end."""
        raise NotImplementedError

    def buffered(self) -> bytes | None:
        """All bytes that are still to be read, if they have arrived; ``None`` otherwise."""
        return None

    def close(self) -> None:
        """Release the connection, or close it if the body is not at its end; closing twice is harmless."""


class Download:
    """A response that is being read: bytes ``start`` to ``stop`` of the version that ``stat`` describes.

    Args:
        part: ``start`` and ``stop`` (half-open) of what the response brings. A server may answer a range with
            the whole file (RFC 9110 section 14.2).
    """

    __slots__ = ("_body", "_rest", "start", "stat", "stop")

    def __init__(self, stat: FileStat, part: tuple[int, int], body: Body) -> None:
        self.stat = stat
        self.start, self.stop = part
        self._body = body
        self._rest = b""

    async def read(self, stop: int) -> bytes:
        """The next bytes, none from *stop* on."""
        wanted = stop - self.start
        chunk = self._rest or await self._body.read(min(CHUNK_BYTES, wanted))
        if not chunk:
            raise BodyTruncated(f"{self.stat.path!r} broke off after {self.start} bytes", path=self.stat.path)
        chunk, self._rest = chunk[:wanted], chunk[wanted:]
        self.start += len(chunk)
        return chunk

    def buffered(self) -> bytes | None:
        """All bytes that are still to be read, if they have arrived; ``None`` otherwise."""
        rest = None if self._rest else self._body.buffered()
        if rest is not None and len(rest) != self.stop - self.start:
            self._rest = rest
            return None
        if rest is not None:
            self.start = self.stop
        return rest

    def close(self) -> None:
        """As :meth:`Body.close`."""
        self._body.close()


#: Requests a span of a file, of one version only where a validator is given.
Fetch = Callable[[str, Span, str | None], Awaitable[Download]]


async def open_ranged(fetch: Fetch, path: str, span: Span, validator: str | None) -> RangedFile:
    """Open *path* with one request for *span*; an empty file, which has no ranges, needs a second.

    Raises:
        AssetNotFound, BackendError: as :meth:`Backend.open`.
    """
    try:
        download = await fetch(path, span, validator)
    except RangeNotSatisfiable as error:
        if error.size:
            raise
        download = await fetch(path, WHOLE, validator)
        if size := download.stat.size:  # not empty after all: the server had not said
            download.close()
            raise RangeNotSatisfiable(f"{path!r} has only {size} bytes", path=path, size=size) from error
    return RangedFile(fetch, download)


class RangedFile:
    """One version of a remote file; an :class:`AsyncOpenFile` whose first request has been answered."""

    def __init__(self, fetch: Fetch, download: Download) -> None:
        self.stat = download.stat
        self._fetch = fetch
        self._download: Download | None = download

    def buffered(self, start: int, stop: int) -> bytes | None:
        """The bytes ``start`` to ``stop``, if they are all that was requested, and have arrived."""
        download = self._download
        if download is None or (download.start, download.stop) != (start, stop):
            return None
        return download.buffered()

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            chunk = await self.read(start, stop)
            start += len(chunk)
            yield chunk

    async def read(self, start: int, stop: int) -> bytes:
        """The first bytes of ``start`` to ``stop``."""
        download = await self._at(start, stop)
        try:
            while download.start < start:  # a server that sends from the beginning, whatever was requested
                await download.read(start)
            return await download.read(stop)
        except BaseException:
            self.close()
            raise

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        download, self._download = self._download, None
        if download is not None:
            download.close()

    async def _at(self, start: int, stop: int) -> Download:
        """The response that brings ``start`` next: the one that is being read, or a new one."""
        download = self._download
        if download is not None and download.start == start and download.stop >= stop:
            return download
        self.close()
        path = self.stat.path
        download = self._download = await self._fetch(path, Span(start, stop), self.stat.validator)
        new, old = download.stat, self.stat
        if (new.size, new.validator, new.mtime_ns) != (old.size, old.validator, old.mtime_ns):
            self.close()
            raise VersionChanged(f"{path!r} was replaced while it was read", path=path)
        if download.start > start:
            at = download.start
            self.close()
            raise BodyTruncated(f"{path!r} came from byte {at} on, and not from {start}", path=path)
        return download


class SyncRangedFile:
    """A :class:`RangedFile` as an :class:`OpenFile`: nothing that it waits for ever waits."""

    def __init__(self, file: RangedFile) -> None:
        self.stat = file.stat
        self._file = file

    @classmethod
    def open(
        cls, fetch: Callable[[str, Span, str | None], Download], path: str, span: Span, validator: str | None
    ) -> SyncRangedFile:
        """As :func:`open_ranged`, with a *fetch* that blocks."""

        async def fetch_at_once(path: str, span: Span, validator: str | None) -> Download:
            return fetch(path, span, validator)

        return cls(_run(open_ranged(fetch_at_once, path, span, validator)))

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            chunk = _run(self._file.read(start, stop))
            start += len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


class SyncBody(Body):
    """A body that is read by blocking calls.

    Args:
        raw: has ``read(size)`` and ``close()``.
        translate: our error for one that *raw* raises.
    """

    def __init__(self, raw: Any, translate: Callable[[Exception], Exception]) -> None:
        self._raw = raw
        self._translate = translate

    async def read(self, size: int) -> bytes:
        try:
            chunk: bytes = self._raw.read(size)
        except Exception as error:
            raise self._translate(error) from error
        return chunk

    def close(self) -> None:
        self._raw.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("a synchronous read waited for an event loop")
