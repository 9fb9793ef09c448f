"""A storage in memory that does what a test tells it, and counts what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.backends.remote.reader import Remote, remote
from assetstore.errors import AssetNotFound, BodyTruncated, RangeNotSatisfiable, VersionChanged

PIECE = 60_000


@dataclass
class Asked:
    """One request that reached the storage."""

    verb: str
    path: str
    span: Span | None = None
    validator: str | None = None


@dataclass
class Storage:
    """A reader over ``files``; each :meth:`put` is a new version with a validator of its own."""

    files: dict[str, bytes] = field(default_factory=dict)
    stats: dict[str, FileStat] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    open_bodies: int = 0
    closed: bool = False
    #: Raised for the next so many requests.
    faults: list[Exception] = field(default_factory=list)
    #: Raised for all requests while it is set.
    down: Exception | None = None
    #: Seconds that each request takes; and what it waits for, if anything.
    seconds: float = 0.0
    gate: asyncio.Event | None = None
    #: Bytes after which each of the next so many bodies breaks off.
    cuts: list[int] = field(default_factory=list)
    #: Bytes after which bodies stop coming.
    stall_after: int | None = None
    validators: bool = True
    checksums: bool = False
    garbled: bool = False

    def put(self, path: str, content: bytes, **facts: Any) -> None:
        number = int(self.stats[path].mtime_ns or 0) + 1 if path in self.stats else 1
        self.files[path] = content
        self.stats[path] = FileStat(
            path,
            len(content),
            mtime_ns=number,
            validator=f"v{number}" if self.validators else None,
            sha256=hashlib.sha256(content).hexdigest() if self.checksums else None,
            **facts,
        )

    def count(self, verb: str) -> int:
        return sum(each.verb == verb for each in self.asked)

    async def stat(self, path: str) -> FileStat:
        await self._answer(Asked("stat", path))
        return self._facts(path)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Body:
        await self._answer(Asked("open", path, span, validator))
        stat = self._facts(path)
        if validator not in (None, stat.validator):
            raise VersionChanged(path)
        if span.start and span.start >= stat.size:
            raise RangeNotSatisfiable(path, size=stat.size)
        self.open_bodies += 1
        return Body(self, stat, self.files[path], span.within(stat.size))

    async def aclose(self) -> None:
        self.closed = True

    def _facts(self, path: str) -> FileStat:
        if path not in self.stats:
            raise AssetNotFound(path)
        return replace(self.stats[path])

    async def _answer(self, asked: Asked) -> None:
        self.asked.append(asked)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.seconds)
        if self.faults:
            raise self.faults.pop(0)
        if self.down is not None:
            raise self.down


class Body:
    """An opened version; reading outside of what was asked for is a mistake of the reader above."""

    def __init__(self, storage: Storage, stat: FileStat, content: bytes, coming: tuple[int, int]) -> None:
        self.stat = stat
        self._storage = storage
        self._content = bytes(len(content)) if storage.garbled else content
        self._coming = coming
        self._open = True
        self._cut = storage.cuts.pop(0) if storage.cuts else None

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        assert self._coming[0] <= start <= stop <= self._coming[1], (self._coming, start, stop)
        sent = 0
        for at in range(start, stop, PIECE):
            piece = self._content[at : min(at + PIECE, stop)]
            if self._cut is not None and sent + len(piece) > self._cut:
                yield piece[: self._cut - sent]
                raise BodyTruncated(self.stat.path)
            if self._storage.stall_after is not None and sent >= self._storage.stall_after:
                await asyncio.Event().wait()
            yield piece
            sent += len(piece)

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._storage.open_bodies -= 1


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeRemote = Callable[..., Remote]


@pytest.fixture
def make_remote(storage: Storage, clock: Clock) -> MakeRemote:
    """``make_remote(cache=…, limits=…)`` is the whole of the readers around ``storage``."""

    def make(
        cache: CacheSettings | None = None,
        limits: RemoteLimits | None = None,
        immutable: Callable[[FileStat], bool] = lambda stat: False,
        label: str = "memory://storage",
    ) -> Remote:
        return remote(storage, label, cache=cache, limits=limits, immutable=immutable, clock=clock)

    return make


@pytest.fixture
def read() -> Callable[..., Any]:
    """``await read(reader, path, start, stop)`` is those bytes; all of them without the last two."""

    async def read(reader: Any, path: str, start: int = 0, stop: int | None = None, **how: Any) -> bytes:
        opened = await reader.open(path, Span(start, stop), **how)
        try:
            begin, end = Span(start, stop).within(opened.stat.size)
            return b"".join([chunk async for chunk in opened.chunks(begin, end)])
        finally:
            await opened.aclose()

    return read
