"""SHA-256 of the versions of files: read once each, small ones at once, large ones in the background."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import LocalFile
from assetstore.backends.reader import AsyncOpenFile
from assetstore.errors import AssetNotFound, UnexpectedResponse, VersionChanged
from assetstore.util.background import NICE, DeferredCache, on_event_loop, running_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

#: How many digests one mount keeps, at about 500 bytes each.
MAX_DIGESTS = 20_000
#: Bytes that are hashed on an event loop in one turn of it, and what a file counts at least: opening one costs
#: about as much as hashing 16 KiB (60 microseconds).
TURN_BYTES, FILE_BYTES = 1024 * 1024, 16 * 1024
#: Read at a time of local files: between two pieces the thread takes the interpreter lock, for which an event loop
#: then has to wait, so there are few of them.
PIECE_BYTES = 4 * 1024 * 1024
#: A digest that was not requested for so long is dropped, and begun again with the next request; so is, after the
#: second time, one whose client has left: a player that seeks leaves and comes back.
WANTED_SECONDS, GONE_SECONDS = 600.0, 10.0
#: A file that changed less than this ago may change again without any of its times changing: the clock of the
#: file system ticks every 10 ms at the slowest (Linux, CONFIG_HZ=100).
TICK_NS = 20_000_000


class _Version(NamedTuple):
    stat: FileStat
    #: Where to read it; ``None`` to ask for what is known.
    backend: Backend | None = None

    def __str__(self) -> str:
        return repr(self.stat.path) if self.backend is None else f"{self.stat.path!r} in {self.backend.label}"


class Digests:
    """The SHA-256 of each version of the files of one backend, in 64 lower-case hex digits.

    A digest is that of exactly the version that a :class:`FileStat` describes; there is none where that
    version is gone. Files are hashed by one background thread, the smallest first.
    """

    def __init__(self) -> None:
        self._cache: DeferredCache[_Version, str] = DeferredCache(
            self._read,
            key=_key,
            cost=_size,
            wanted_seconds=WANTED_SECONDS,
            max_count=MAX_DIGESTS,
            what="hash",
            name="assetstore-hash",
            nice=NICE,
        )
        self._turn = _Turn()

    def known(self, stat: FileStat) -> str | None:
        """The digest if it needs no reading: the storage recorded it, or it was made before."""
        return stat.sha256 or self._cache.known(_Version(stat))

    def now(self, stat: FileStat, backend: Backend) -> str | None:
        """The digest, read in this thread where it is needed; ``None`` if that version is gone.

        Raises:
            AssetNotFound, BackendError: as :meth:`Backend.open`.
        """
        if (known := self.known(stat)) is not None:
            return known
        version = _Version(stat, backend)
        # A loop is not made to wait until the file is settled, so what it reads is not kept.
        return self._read(version) if on_event_loop() and unsettled_ns(stat) > 0 else self._cache.compute(version)

    def soon(self, stat: FileStat, backend: Backend) -> str | None:
        """The digest if there is one or a small local file leaves no wait; else it is made in the background."""
        if (known := self.known(stat)) is not None:
            return known
        defers = getattr(backend, "defers", None)  # a backend that rewrites files has it
        if not (backend.remote or (defers and on_event_loop() and defers(stat.path))) and self._turn.allows(stat.size):
            try:
                return self.now(stat, backend)
            except AssetNotFound:
                return None
        return self._cache.soon(_Version(stat, backend))

    def put(self, stat: FileStat, digest: str) -> None:
        """Keep *digest*, which somebody else made of all bytes of that version."""
        if unsettled_ns(stat) <= 0:
            self._cache.put(_Version(stat), digest)

    def let_go(self, stat: FileStat) -> None:
        """A client that was sent this version has left: unless somebody else requests its digest, it is broken off."""
        self._cache.let_go(_Version(stat), GONE_SECONDS)

    def settle(self, seconds: float = 30.0) -> bool:
        """Wait until nothing is left to hash; whether it came to that."""
        return self._cache.settle(seconds)

    def close(self) -> None:
        """Break off hashing, and end the thread; the next use starts another."""
        self._cache.close()

    def _read(self, version: _Version) -> str | None:
        stat, backend = version
        if backend is None:
            return None
        if (wait_ns := unsettled_ns(stat)) > 0 and not on_event_loop():
            time.sleep(wait_ns / 1e9)
        opened = backend.open(stat.path)
        try:
            if opened.stat.version != stat.version:
                return None
            digest = hashlib.sha256()
            size = opened.stat.size
            for chunk in (
                opened.chunks(0, size, PIECE_BYTES) if isinstance(opened, LocalFile) else opened.chunks(0, size)
            ):
                if self._cache.is_closing:
                    return None
                digest.update(chunk)
        except VersionChanged:
            return None
        finally:
            opened.close()
        return digest.hexdigest()


def unsettled_ns(stat: FileStat) -> int:
    """For how many nanoseconds more the times of a local file may not tell that it changed; not above 0 for never."""
    if stat.signature is None:
        return 0
    age = time.time_ns() - stat.signature.ctime_ns
    return TICK_NS - age if age >= 0 else 0  # a file server's clock that is ahead says nothing


def _key(version: _Version) -> Hashable:
    return version.stat.version


def _size(version: _Version) -> float:
    return version.stat.size


class CheckedFile:
    """An opened file whose bytes are compared with a SHA-256 while they are sent: for what is larger than memory.

    Other bytes end before their last piece. A part of the file is not checked.

    Args:
        opened: closed with this one.
        sha256: of all its bytes, 64 lower-case hex digits.
        matched, differed: called once all bytes are read.
    """

    def __init__(
        self,
        opened: AsyncOpenFile,
        sha256: str,
        matched: Callable[[], object],
        differed: Callable[[], object],
    ) -> None:
        self.stat = opened.stat
        self._opened = opened
        self._sha256 = sha256
        self._matched, self._differed = matched, differed

    async def chunks(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """As :meth:`AsyncOpenFile.chunks`; raises :class:`UnexpectedResponse` too, in place of the last piece."""
        chunks = self._opened.chunks(start, stop)
        whole = (start, stop) == (0, self.stat.size)
        digest, last = hashlib.sha256(), b""
        try:
            async for chunk in chunks:
                if last:
                    yield last
                last = chunk
                if whole:
                    digest.update(chunk)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        if whole and digest.hexdigest() != self._sha256:
            self._differed()
            raise UnexpectedResponse(
                f"{self.stat.path!r} does not hold the bytes that were published under that name; "
                "publish again, or copy the files again",
                path=self.stat.path,
            )
        if whole:
            self._matched()
        if last:
            yield last

    async def aclose(self) -> None:
        await self._opened.aclose()


class _Turn(threading.local):
    """What may still be hashed in this turn of this thread's event loop."""

    def __init__(self) -> None:
        self.left = 0
        self.loop: AbstractEventLoop | None = None

    def allows(self, size: int) -> bool:
        """Whether *size* bytes may be hashed now; where no event loop runs there is no hurry."""
        if (loop := running_loop()) is None:
            return True
        if self.loop is not loop:
            self.loop, self.left = loop, TURN_BYTES
            loop.call_soon(self._end)
        cost = max(size, FILE_BYTES)
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def _end(self) -> None:
        self.loop = None
