"""This module owns the reader that always ends: in time, in a result or in an error of ours.

A body that breaks off is asked for again from where it broke off, pinned to its version, so the
reader above sees either the bytes of one version or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.reader import AsyncOpenFile, Reader, at_hand
from assetstore.backends.remote.retry import PASSING, Attempts, pause_seconds
from assetstore.errors import BackendError, BodyTruncated, VersionChanged


class GuardedReader:
    """*inner*, asked through *attempts*."""

    def __init__(self, inner: Reader, attempts: Attempts) -> None:
        self._inner = inner
        self._attempts = attempts

    async def stat(self, path: str) -> FileStat:
        return await self._attempts.ask(path, lambda: self._inner.stat(path))

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        opened = await self._attempts.ask(path, lambda: self._inner.open(path, span, validator=validator), _close)
        return _GuardedFile(opened, self._inner, self._attempts)

    async def aclose(self) -> None:
        await self._attempts.aclose()
        await self._inner.aclose()


class _GuardedFile:
    def __init__(self, opened: AsyncOpenFile, inner: Reader, attempts: Attempts) -> None:
        self.stat = opened.stat
        self._opened = opened
        self._inner = inner
        self._attempts = attempts
        self._closed = False

    def at_hand(self, start: int, stop: int) -> bytes | None:
        """As *inner* has it: what is here already needs no guard."""
        return at_hand(self._opened, start, stop)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        at, attempt = start, 1
        pieces = self._opened.chunks(at, stop)
        try:
            while at < stop:
                try:
                    piece = await self._attempts.within(
                        self._attempts.limits.read_seconds, self.stat.path, self._next(pieces, stop - at)
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
        """How long to wait before the rest is asked for; ``None`` where it is not."""
        self._attempts.broke_off(error)
        # Without a validator there is no telling that the rest is of the same version.
        if attempt >= self._attempts.limits.attempts or self.stat.validator is None:
            return None
        return pause_seconds(error, attempt)

    async def _reopen(self, span: Span) -> None:
        path, validator = self.stat.path, self.stat.validator
        await self._opened.aclose()
        opened = await self._attempts.ask(path, lambda: self._inner.open(path, span, validator=validator), _close)
        self._opened = opened
        if self._closed:  # while this was on its way, by one who waits no longer
            await opened.aclose()
        if opened.stat.version != self.stat.version:
            raise VersionChanged(f"{path!r} was replaced while it was being read", path=path)


async def _close(opened: AsyncOpenFile) -> None:
    await opened.aclose()


async def _end(pieces: AsyncIterator[bytes]) -> None:
    if (close := getattr(pieces, "aclose", None)) is not None:
        with suppress(RuntimeError):  # it is still running in what a deadline left behind
            await close()
