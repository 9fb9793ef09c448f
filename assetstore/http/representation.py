"""One representation (RFC 9110 section 3.2): validators, size, finished headers.

A representation is made from the facts of the very bytes that are sent: the stat of the opened
file, or the variant in memory. Its headers are finished once for each status, so that a response
only picks them.
"""

from __future__ import annotations

import hashlib
import time
from typing import NamedTuple

from assetstore.backends.base import FileSignature, FileStat
from assetstore.backends.reader import AsyncOpenFile, Reader
from assetstore.errors import VersionChanged
from assetstore.http.conditional import ETag, Validators
from assetstore.http.response_headers import NO_STORE, Headers, header
from assetstore.names.fingerprint import is_dated, is_telling
from assetstore.util.dates import write_http_date

_SECOND_NS = 1_000_000_000
# Of a digest's 64 digits; 128 bits are enough to tell versions apart.
_ETAG_DIGITS = 32
#: What a server is given at once of a long body: it goes out faster than in larger pieces, or in smaller; measured
#: (``benchmarks``).
PIECE_BYTES = 256 * 1024
_VARY = (b"vary", b"Accept-Encoding")
_RANGES = (b"accept-ranges", b"bytes")


class CachedFile(NamedTuple):
    """Where to find a local file again that is too large to be kept in memory."""

    reader: Reader
    path: str
    signature: FileSignature

    async def open(self) -> AsyncOpenFile:
        """Open it again. Who opens, closes.

        Raises:
            AssetNotFound, BackendError, VersionChanged: it is gone, or another one by now.
        """
        opened = await self.reader.open(self.path)
        if opened.stat.signature != self.signature:
            await opened.aclose()
            raise VersionChanged(f"{self.path!r} is another file by now", path=self.path)
        return opened


class Representation(NamedTuple):
    """What a 200 for one asset carries, and the headers of every response about it."""

    size: int
    validators: Validators
    media_type: str
    #: Headers of a 200, in full.
    full: Headers
    #: Headers of a 206, without Content-Type, Content-Length and Content-Range.
    partial: Headers
    #: Headers of a 304 (section 15.4.5).
    not_modified: Headers
    #: What stands on every response, whatever its status.
    always: Headers
    #: Content coding; ``None`` for the plain bytes.
    coding: str | None = None
    #: The bytes in pieces, where they are in memory; else they are in the file.
    content: tuple[bytes, ...] | None = None
    #: Where a cached representation without its bytes finds the file.
    file: CachedFile | None = None
    #: Whether a program that is given the file's path may open it by itself and send it.
    by_path: bool = True

    @property
    def refused(self) -> Headers:
        """Headers of a 412 or 416: what a cache must not keep."""
        return (*self.always, NO_STORE)


class AssetHeaders(NamedTuple):
    """What all representations of one asset have in common."""

    media_type: str
    cache_control: str
    #: Headers of the mount and its rules.
    extra: Headers
    #: Modified time in whole seconds since the epoch, where it tells something.
    modified: int | None = None

    def represent(
        self,
        size: int,
        etag: str | None,
        *,
        varies: bool,
        coding: str | None = None,
        content: tuple[bytes, ...] | None = None,
    ) -> Representation:
        """The representation of *size* bytes whose entity tag is *etag*; ``None`` if nothing tells versions apart.

        *varies* says whether another Accept-Encoding may give another representation.
        """
        tag = None if etag is None else ETag(etag)
        always = (*self.extra, _VARY) if varies else self.extra
        tagged = () if tag is None else ((b"etag", tag.to_header().encode("latin-1")),)
        kept = (*always, header(b"cache-control", self.cache_control.encode("ascii")), *tagged)
        dated = (
            () if self.modified is None else (header(b"last-modified", write_http_date(self.modified).encode("ascii")),)
        )
        coded = () if coding is None else (header(b"content-encoding", coding.encode("ascii")),)
        partial = (*kept, *dated, *coded, _RANGES)
        about = header(b"content-type", self.media_type.encode("ascii")), header(b"content-length", b"%d" % size)
        return Representation(
            size=size,
            validators=Validators(tag, self.modified),
            media_type=self.media_type,
            full=(*partial, *about),
            partial=partial,
            not_modified=kept,
            always=always,
            coding=coding,
            content=content,
        )


def cut(content: bytes) -> tuple[bytes, ...]:
    """*content* in pieces of :data:`PIECE_BYTES`; the last may be shorter, and nothing is no piece."""
    if 0 < len(content) <= PIECE_BYTES:
        return (content,)
    return tuple([content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)])


def modified_seconds(stat: FileStat, now: float) -> int | None:
    """When the file was modified, in whole seconds; ``None`` where that tells nothing (section 8.8.2).

    A time before 1980-01-03, as build tools pin files to, and one that lies after *now* (seconds since
    the epoch) would earn a 304 that is wrong.
    """
    if stat.mtime_ns is None or not is_dated(stat.mtime_ns, int(now * _SECOND_NS)):
        return None
    return stat.mtime_ns // _SECOND_NS


def etag_of_digest(sha256: str) -> str:
    """The entity tag of bytes whose SHA-256 is known: equal on every machine that has equal bytes."""
    return sha256[:_ETAG_DIGITS]


def etag_of_stat(stat: FileStat) -> str | None:
    """The entity tag from what the backend reports; ``None`` where that does not tell versions apart.

    A checksum of the bytes, else the storage's own validator, else size and modified time in whole
    nanoseconds, UTC: never a host, a worker, an inode or a local time.
    """
    if stat.sha256 is not None:
        return etag_of_digest(stat.sha256)
    if stat.validator is not None:
        tag = ETag.from_header(f'"{stat.validator}"')
        return etag_of_digest(hashlib.sha256(stat.validator.encode()).hexdigest()) if tag is None else tag.opaque
    if stat.mtime_ns is None or not is_telling(stat.mtime_ns, time.time_ns()):
        return None
    return f"{stat.size:x}-{stat.mtime_ns:x}"


def etag_of_variant(content: bytes, coding: str) -> str:
    """The entity tag of compressed bytes: of another representation, so another tag (section 8.8.3.3)."""
    return f"{etag_of_digest(hashlib.sha256(content).hexdigest())}-{coding}"
