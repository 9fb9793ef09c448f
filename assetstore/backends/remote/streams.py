"""Response bodies that are read block by block.

A body whose next block is not wanted yet is parked at its position. The reader of the block that
begins there continues it, so a large object that is read from start to end costs one request.
A parked body holds a connection: their number and idle time are bounded, and when the last client
of a version has left they are closed at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from assetstore.backends.base import Version
from assetstore.backends.reader import AsyncOpenFile, buffered
from assetstore.backends.remote.deadline import Done, Waiting, begin
from assetstore.errors import AssetStoreError, BodyTruncated

#: How long a stream stays parked, in seconds, where no client is known to read on: its first may be on the way.
UNCLAIMED_SECONDS = 1.0


class Stream:
    """The bytes ``at`` to ``stop`` of an opened file, taken one block at a time."""

    def __init__(self, opened: AsyncOpenFile, at: int, stop: int) -> None:
        self.opened = opened
        self.at = at
        self.stop = stop
        self._pieces: AsyncIterator[bytes] | None = None
        self._rest: bytes | memoryview = b""
        whole = at == 0 and stop == opened.stat.size
        self._digest = hashlib.sha256() if whole and opened.stat.sha256 is not None else None

    async def take(self, skip: int, count: int) -> bytes:
        """The *count* bytes after the next *skip*.

        Raises:
            BodyTruncated: fewer came; or all came, and they are not the ones that the storage recorded.
            BackendError: as :meth:`OpenFile.chunks`.
        """
        if skip:
            await self._gather(skip)
        block = b"".join(await self._gather(count))  # one piece alone is not copied
        self._verify(block)
        return block

    def take_rest(self) -> bytes | None:
        """All bytes up to ``stop``, if they have arrived; ``None`` otherwise.

        Raises:
            BodyTruncated: as :meth:`take`.
        """
        rest = None if self._rest else buffered(self.opened, self.at, self.stop)
        if rest is not None:
            self.at = self.stop
            self._verify(rest)
        return rest

    async def _gather(self, count: int) -> list[bytes | memoryview]:
        """The next *count* bytes in pieces; the rest of the last piece is kept."""
        parts: list[bytes | memoryview] = []
        pieces = self._pieces = self._pieces or self.opened.chunks(self.at, self.stop)
        while count:
            piece = self._rest or await anext(pieces, b"")
            if not piece:
                raise self._broken(f"ended {self.stop - self.at} bytes early")
            self._rest = b""
            if len(piece) > count:
                view = memoryview(piece)
                piece, self._rest = view[:count], view[count:]
            parts.append(piece)
            self.at += len(piece)
            count -= len(piece)
        return parts

    async def aclose(self) -> None:
        """Release the connection."""
        if (close := getattr(self._pieces, "aclose", None)) is not None:
            with suppress(RuntimeError):  # still running in a task that outlived its deadline
                await close()
        await self.opened.aclose()

    def _verify(self, block: bytes) -> None:
        if self._digest is None:
            return
        self._digest.update(block)
        if self.at == self.stop and self._digest.hexdigest() != self.opened.stat.sha256:
            raise self._broken("is not what the storage recorded (SHA-256)")

    def _broken(self, how: str) -> BodyTruncated:
        path = self.opened.stat.path
        return BodyTruncated(f"the body of {path!r} {how}; nothing of it is kept", path=path)


_Parked = tuple[Stream, asyncio.TimerHandle, asyncio.AbstractEventLoop]


class Streams:
    """Parked streams by version and position, and how many clients read each version.

    Args:
        limit: how many may be parked, and *idle_seconds* for how long.
        at_once: whether closing one rarely waits, so that it needs no task of its own.
    """

    def __init__(self, limit: int, idle_seconds: float, *, at_once: bool = False) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._at_once = at_once
        self._parked: dict[tuple[Version, int], _Parked] = {}
        self._readers: dict[Version, int] = {}
        self._closing: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._parked)

    def enter(self, version: Version) -> None:
        """One more client reads *version*."""
        self._readers[version] = self._readers.get(version, 0) + 1

    def leave(self, version: Version) -> None:
        """One client less; the last one's streams are closed."""
        readers = self._readers.pop(version, 0) - 1
        if readers > 0:
            self._readers[version] = readers
        elif self._parked:
            for key in [key for key in self._parked if key[0] == version]:
                self._drop(key)

    def park(self, stream: Stream) -> None:
        """Keep *stream* for the reader of its next block."""
        version = stream.opened.stat.version
        key = version, stream.at
        if stream.at >= stream.stop or key in self._parked:
            self.discard(stream)
            return
        idle = self._idle_seconds if version in self._readers else min(self._idle_seconds, UNCLAIMED_SECONDS)
        loop = asyncio.get_running_loop()
        self._parked[key] = stream, loop.call_later(idle, self._drop, key), loop
        if len(self._parked) > self._limit:
            self._drop(next(iter(self._parked)))

    def take(self, version: Version, at: int) -> Stream | None:
        """The stream of *version* at position *at*, no longer parked."""
        found = self._parked.pop((version, at), None)
        if found is None:
            return None
        stream, timer, loop = found
        timer.cancel()
        # A stream of an event loop that has ended can be neither read nor closed here.
        return stream if loop is asyncio.get_running_loop() else None

    def discard(self, stream: Stream) -> None:
        """Close *stream*, without waiting."""
        closing = _closed(stream)
        if self._at_once:
            begun = begin(closing)
            if isinstance(begun, Done):
                return
            closing = _finished(begun)
        task = asyncio.get_running_loop().create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close all of them."""
        for key in list(self._parked):
            self._drop(key)
        if self._closing:
            await asyncio.wait(self._closing, timeout=1)

    def _drop(self, key: tuple[Version, int]) -> None:
        stream = self.take(*key)
        if stream is not None:
            self.discard(stream)


async def _closed(stream: Stream) -> None:
    with suppress(AssetStoreError, OSError):
        await stream.aclose()


async def _finished(begun: Waiting[None]) -> None:
    await begun
