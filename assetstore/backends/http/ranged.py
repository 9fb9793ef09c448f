"""This module owns one version of a remote file, read by ranged requests that are pinned to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.errors import AssetStoreError, BodyTruncated, RangeNotSatisfiable, VersionChanged

#: Bytes read at a time.
CHUNK_BYTES = 256 * 1024


class Body(Protocol):
    """Bytes on their way."""

    def read(self, size: int, /) -> bytes:
        """Up to *size* bytes; ``b""`` at the end."""

    def close(self) -> None:
        """Give the connection up, or back if the end was reached."""


@dataclass(slots=True)
class Arrival:
    """An answer that begins to arrive: whose bytes they are, and which."""

    stat: FileStat
    start: int
    stop: int
    body: Body


#: Asks for a span of a file, of one version only where a validator is given.
Fetch = Callable[[str, Span, str | None], Arrival]


def range_header(span: Span) -> str | None:
    """The ``Range`` header that asks for *span*; ``None`` where the whole file must be asked for."""
    start, stop = span.start, span.stop
    if start < 0:
        return f"bytes={start}" if stop is None else None
    if stop is None:
        return f"bytes={start}-" if start else None
    return f"bytes={start}-{stop - 1}" if stop > start else None


def arriving(headers: Mapping[str, str], size: int) -> tuple[int, int]:
    """Which bytes an answer with *headers* brings: those of its ``Content-Range``, else all *size*.

    A server may answer a range with the whole file (RFC 9110 section 14.2).
    """
    first, _, last = headers.get("content-range", "").removeprefix("bytes ").partition("/")[0].partition("-")
    return (int(first), int(last) + 1) if first.isdecimal() and last.isdecimal() else (0, size)


def open_ranged(
    fetch: Fetch, path: str, span: Span, validator: str | None, fault: Callable[[Exception], Exception]
) -> RangedFile:
    """Open *path* with one request for *span*; an empty file, of which no range can be had, with a second.

    *fault* makes our error of one that reading the body raised.
    """
    try:
        arrival = fetch(path, span, validator)
    except RangeNotSatisfiable as error:
        if error.size:
            raise
        arrival = fetch(path, WHOLE, validator)
        if size := arrival.stat.size:  # not empty after all: the server had not said
            arrival.body.close()
            raise not_satisfiable(path, size) from error
    return RangedFile(fetch, arrival, fault)


def not_satisfiable(path: str, size: int) -> RangeNotSatisfiable:
    """The error for a span that starts past the end of a file of *size* bytes."""
    return RangeNotSatisfiable(f"{path!r} has only {size} bytes", path=path, size=size)


def unfit(stat: FileStat, at: int, wanted: FileStat, start: int) -> AssetStoreError | None:
    """Why an answer cannot be read as the bytes of *wanted* from *start* on; ``None`` if it can.

    Args:
        stat: the facts of the answer; *at*: its first byte, which may come before *start*.
    """
    path = wanted.path
    if (stat.size, stat.validator, stat.mtime_ns) != (wanted.size, wanted.validator, wanted.mtime_ns):
        return VersionChanged(f"{path!r} was replaced while it was read", path=path)
    if at > start:
        return BodyTruncated(f"{path!r} came from byte {at} on, and not from {start}", path=path)
    return None


class RangedFile:
    """One version of a remote file, the first of its bytes already on their way."""

    def __init__(self, fetch: Fetch, arrival: Arrival, fault: Callable[[Exception], Exception]) -> None:
        self.stat = arrival.stat
        self._fetch = fetch
        self._fault = fault
        self._arrival: Arrival | None = arrival

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            chunk = self._read(start, stop)
            start += len(chunk)
            yield chunk

    def _read(self, start: int, stop: int) -> bytes:
        arrival = self._arriving(start, stop)
        try:
            while arrival.start < start:  # a server that sends from the beginning, whatever was asked
                arrival.start += len(self._some(arrival, start))
            chunk = self._some(arrival, stop)
        except BaseException:
            self.close()
            raise
        arrival.start += len(chunk)
        return chunk

    def _arriving(self, start: int, stop: int) -> Arrival:
        arrival = self._arrival
        if arrival is not None and arrival.start == start and arrival.stop >= stop:
            return arrival
        self.close()
        arrival = self._arrival = self._fetch(self.stat.path, Span(start, stop), self.stat.validator)
        if (fault := unfit(arrival.stat, arrival.start, self.stat, start)) is not None:
            self.close()
            raise fault
        return arrival

    def _some(self, arrival: Arrival, stop: int) -> bytes:
        try:
            chunk = arrival.body.read(min(CHUNK_BYTES, stop - arrival.start))
        except AssetStoreError:
            raise
        except Exception as error:
            raise self._fault(error) from error
        if not chunk:
            raise BodyTruncated(f"{self.stat.path!r} broke off after {arrival.start} bytes", path=self.stat.path)
        return chunk

    def close(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.body.close()
