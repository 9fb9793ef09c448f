"""This module owns the reader that always ends: in time, in a result or in an error of ours.

A body that breaks off is asked for again from where it broke off, pinned to its version, so the
reader above sees either the bytes of one version or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.cached.attempts import Attempts
from assetstore.backends.cached.retries import PASSING, pause_seconds
from assetstore.backends.cached.versions import version_of
from assetstore.backends.readers import AsyncOpenFile, Reader
from assetstore.errors import BodyTruncated, VersionChanged


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

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        at, attempt = start, 1
        while True:
            try:
                async with aclosing(self._pieces(at, stop)) as pieces:
                    async for chunk in pieces:
                        at += len(chunk)
                        yield chunk
                return
            except PASSING as error:
                self._attempts.broke_off(error)
                pause = pause_seconds(error, attempt)
                # Without a validator there is no telling that the rest is of the same version.
                if pause is None or attempt >= self._attempts.limits.attempts or self.stat.validator is None:
                    raise
            await asyncio.sleep(pause)
            await self._reopen(Span(at, stop))
            attempt += 1

    async def aclose(self) -> None:
        self._closed = True
        await self._opened.aclose()

    async def _pieces(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        pieces = self._opened.chunks(start, stop)
        left = stop - start
        try:
            while left > 0:
                wait = self._attempts.limits.read_seconds
                piece = await self._attempts.within(wait, self.stat.path, _next(pieces))
                left -= len(piece)
                if not piece or left < 0:
                    message = f"{self.stat.path!r} ended {abs(left)} bytes {'early' if left > 0 else 'late'}"
                    raise BodyTruncated(f"{message}, of the {stop - start} that were to come", path=self.stat.path)
                yield piece
        finally:
            if (close := getattr(pieces, "aclose", None)) is not None:
                with suppress(RuntimeError):  # it is still running in what a deadline left behind
                    await close()

    async def _reopen(self, span: Span) -> None:
        path, validator = self.stat.path, self.stat.validator
        await self._opened.aclose()
        opened = await self._attempts.ask(path, lambda: self._inner.open(path, span, validator=validator), _close)
        self._opened = opened
        if self._closed:  # while this was on its way, by one who waits no longer
            await opened.aclose()
        if version_of(opened.stat) != version_of(self.stat):
            raise VersionChanged(f"{path!r} was replaced while it was being read", path=path)


async def _close(opened: AsyncOpenFile) -> None:
    await opened.aclose()


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
