"""A reader that always ends: in time, in a result or in one of our errors.

A body that breaks off is requested again from where it broke off, pinned to its version, so the
reader above sees either the bytes of one version or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.reader import AsyncOpenFile, Reader, buffered
from assetstore.backends.remote import RemoteLimits
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.retry import PASSING, Breaker, Counters, Retrier, pause_seconds
from assetstore.errors import BackendError, BodyTruncated, VersionChanged


class GuardedReader:
    """*inner* with deadlines, retries and a circuit breaker."""

    def __init__(
        self, inner: Reader, label: str, limits: RemoteLimits, breaker: Breaker, counters: Counters, timeouts: Timeouts
    ) -> None:
        self._inner = inner
        self._retrier = Retrier(label, limits, breaker, counters, timeouts, self._read_one_byte)

    async def stat(self, path: str) -> FileStat:
        return await self._retrier.run(path, lambda: self._inner.stat(path), is_head=True)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        opened = await self._retrier.run(path, lambda: self._inner.open(path, span, validator=validator), _close)
        return _GuardedFile(opened, self._inner, self._retrier)

    async def probe(self, path: str) -> None:
        """As :meth:`Retrier.probe`."""
        await self._retrier.probe(path)

    async def aclose(self) -> None:
        await self._retrier.aclose()
        await self._inner.aclose()

    async def _read_one_byte(self, path: str) -> None:
        # Not stat: the answer to a HEAD has no body to say that it is the bucket that is missing.
        opened = await self._inner.open(path, Span(0, 1))
        try:
            pieces = opened.chunks(0, min(1, opened.stat.size))
            await anext(pieces, b"")
            await _end(pieces)
        finally:
            await opened.aclose()


class _GuardedFile:
    def __init__(self, opened: AsyncOpenFile, inner: Reader, retrier: Retrier) -> None:
        self.stat = opened.stat
        self._opened = opened
        self._inner = inner
        self._retrier = retrier
        self._closed = False

    def buffered(self, start: int, stop: int) -> bytes | None:
        """As *inner* has it: what has arrived needs no guard."""
        return buffered(self._opened, start, stop)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        at, attempt = start, 1
        pieces = self._opened.chunks(at, stop)
        try:
            while at < stop:
                try:
                    piece = await self._retrier.within(
                        self._retrier.limits.read_seconds, self.stat.path, self._next(pieces, stop - at)
                    )
                except PASSING as error:
                    pause = self._pause_seconds(error, attempt)
                    if pause is None:
                        raise
                    await _end(pieces)
                    await asyncio.sleep(pause)
                    await self._reopen(Span(at, stop))
                    pieces = self._opened.chunks(at, stop)
                    attempt += 1
                else:
                    at += len(piece)
                    yield piece
        finally:
            await _end(pieces)

    async def aclose(self) -> None:
        self._closed = True
        await self._opened.aclose()

    async def _next(self, pieces: AsyncIterator[bytes], left: int) -> bytes:
        """The next of *pieces*, of which *left* bytes are to come."""
        piece = await anext(pieces, b"")
        if not piece or len(piece) > left:
            odd = f"{left} bytes early" if not piece else f"{len(piece) - left} bytes late"
            raise BodyTruncated(f"{self.stat.path!r} ended {odd}", path=self.stat.path)
        return piece

    def _pause_seconds(self, error: BackendError, attempt: int) -> float | None:
        """How long to wait before the rest is requested; ``None`` where it is not."""
        self._retrier.broke_off(self.stat.path, error)
        # Without a validator there is no telling that the rest is of the same version.
        if attempt >= self._retrier.limits.attempts or self.stat.validator is None:
            return None
        return pause_seconds(error, attempt)

    async def _reopen(self, span: Span) -> None:
        path, validator = self.stat.path, self.stat.validator
        await self._opened.aclose()
        opened = await self._retrier.run(path, lambda: self._inner.open(path, span, validator=validator), _close)
        self._opened = opened
        if self._closed:  # by a client that left meanwhile
            await opened.aclose()
        if opened.stat.version != self.stat.version:
            raise VersionChanged(f"{path!r} was replaced while it was being read", path=path)


async def _close(opened: AsyncOpenFile) -> None:
    await opened.aclose()


async def _end(pieces: AsyncIterator[bytes]) -> None:
    if (close := getattr(pieces, "aclose", None)) is not None:
        with suppress(RuntimeError):  # still running in a task that outlived its deadline
            await close()
