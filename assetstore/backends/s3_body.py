"""This module owns an object's body as it arrives over aiohttp, and reading on in the same version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from assetstore.backends.base import Span
from assetstore.backends.http_facts import stat_of
from assetstore.backends.ranged import arriving, unfit
from assetstore.backends.s3_exchange import FAULTS, Answer
from assetstore.errors import AssetStoreError, BackendTimeout, BackendUnavailable, BodyTruncated


class Arriving:
    """An answer that begins to arrive: whose bytes they are, and which."""

    __slots__ = ("_answer", "_rest", "start", "stat", "stop")

    def __init__(self, path: str, answer: Answer) -> None:
        headers = answer.headers  # which find names in any case
        self._answer = answer
        self._rest = b""
        self.stat = stat_of(path, headers)
        self.start, self.stop = arriving(headers, self.stat.size)

    async def some(self, stop: int, label: str) -> bytes:
        """The next bytes, none from *stop* on."""
        try:
            chunk = self._rest or await self._received()
        except FAULTS as error:
            raise translate_fault(error, self.stat.path, label) from error
        if not chunk:
            raise BodyTruncated(f"{self.stat.path!r} broke off after {self.start} bytes", path=self.stat.path)
        wanted = stop - self.start
        chunk, self._rest = chunk[:wanted], chunk[wanted:]
        self.start += len(chunk)
        return chunk

    async def _received(self) -> bytes:
        """What the socket gave, uncopied; ``b""`` at the end."""
        while True:
            chunk, boundary = await self._answer.content.readchunk()
            if chunk or not boundary:
                return chunk

    def at_hand(self) -> bytes | None:
        """All bytes that are still to come, if they are here already; ``None`` else."""
        content = self._answer.content
        if self._rest or not content.is_eof() or content.exception() is not None:
            return None
        rest = content.read_nowait()
        if len(rest) != self.stop - self.start:
            self._rest = rest
            return None
        self.start = self.stop
        return rest

    def close(self) -> None:
        """Give the connection back if its body came to the end, else give it up."""
        self._answer.close()


#: Asks for a span of an object, of one version only where a validator is given.
Fetch = Callable[[str, Span, str | None], Awaitable[Arriving]]


class S3AsyncFile:
    """One version of an object, with a body already on its way."""

    def __init__(self, fetch: Fetch, arrival: Arriving, label: str) -> None:
        self.stat = arrival.stat
        self._fetch = fetch
        self._label = label
        self._arrival: Arriving | None = arrival

    def at_hand(self, start: int, stop: int) -> bytes | None:
        """The bytes ``start`` to ``stop``, where they are all that was asked for, and came with the headers."""
        arrival = self._arrival
        if arrival is None or (arrival.start, arrival.stop) != (start, stop):
            return None
        return arrival.at_hand()

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop:
            arrival = await self._arriving(start, stop)
            try:
                while arrival.start < start:  # a server that sends from the beginning, whatever was asked
                    await arrival.some(start, self._label)
                chunk = await arrival.some(stop, self._label)
            except BaseException:
                await self.aclose()
                raise
            start = arrival.start
            yield chunk

    async def _arriving(self, start: int, stop: int) -> Arriving:
        arrival = self._arrival
        if arrival is not None and arrival.start == start and arrival.stop >= stop:
            return arrival
        await self.aclose()
        arrival = self._arrival = await self._fetch(self.stat.path, Span(start, stop), self.stat.validator)
        if (fault := unfit(arrival.stat, arrival.start, self.stat, start)) is not None:
            await self.aclose()
            raise fault
        return arrival

    async def aclose(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.close()


def translate_fault(error: BaseException, path: str, label: str) -> AssetStoreError:
    """Our error for one of :data:`FAULTS`."""
    said = f"{label} failed on {path!r}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return BackendTimeout(said, path=path)
    if isinstance(error, aiohttp.ClientPayloadError):
        return BodyTruncated(said, path=path)
    return BackendUnavailable(said, path=path)
