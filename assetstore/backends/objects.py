"""What every object storage has: keys beneath a prefix, pinned ranges, user metadata, a checked upload."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from assetstore.assets import paths
from assetstore.backends.base import FileStat, OpenFile, WriteOptions
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendThrottled,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    UnsafePath,
)
from assetstore.util import backoff_seconds

T = TypeVar("T")


_log = logging.getLogger("assetstore")

#: Bytes of one ranged request: each costs a round trip, and is held in memory.
PIECE_BYTES = 4 * 1024 * 1024
#: User metadata that a publish stores with an object.
FINGERPRINT_KEY = "assetstore-fingerprint"
SHA256_KEY = "assetstore-sha256"
_HEX64, _FINGERPRINT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{8,64}")
#: The pause after a first fault, and the longest, in seconds.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KeyPrefix:
    """Maps logical paths to keys beneath *prefix* and back.

    Args:
        label: the URL that operators see in messages.
        prefix: without slashes at its ends; empty for the whole bucket.
        max_key_bytes: the longest key that the storage accepts, in UTF-8 bytes.
    """

    def __init__(self, label: str, prefix: str, max_key_bytes: int = 1024) -> None:
        self.label = label
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._max_key_bytes = max_key_bytes
        self._unstored: set[str] = set()

    def key(self, path: str) -> str:
        """The key of *path*.

        Raises:
            AssetNotFound: no object can have that key.
        """
        try:
            key = self.prefix + paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None
        if len(key.encode()) > self._max_key_bytes:
            raise AssetNotFound(path, self.label, f"with its prefix it is longer than {self._max_key_bytes} bytes")
        return key

    def path(self, key: str, hidden: frozenset[str] = paths.WELL_KNOWN) -> str | None:
        """The logical path of *key*; ``None`` for what is no asset, such as folders' markers and other *hidden* names."""
        path = key.removeprefix(self.prefix)
        return path if key.startswith(self.prefix) and paths.is_clean(path, hidden=hidden) else None

    def cannot_store(self, header: str) -> None:
        """Log once that the storage has no field for *header*, so that something else has to send it."""
        if header not in self._unstored:
            self._unstored.add(header)
            _log.warning("%s cannot store the header %s with its objects; let the CDN add it", self.label, header)


class PinnedFile:
    """One version of an object, read by ranged requests that are pinned to it; an :class:`OpenFile`.

    Args:
        read: the bytes ``start`` to ``stop`` (half-open) of that very version, in one request.
    """

    def __init__(self, stat: FileStat, read: Callable[[int, int], bytes]) -> None:
        self.stat = stat
        self._read = read

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            end = min(start + PIECE_BYTES, stop)
            piece = self._read(start, end)
            if len(piece) != end - start:
                path = self.stat.path
                raise BodyTruncated(f"{path!r} gave {len(piece)} bytes from {start} on, not {end - start}", path=path)
            yield piece
            start = end

    def close(self) -> None:
        """No connection is held between two pieces."""


class SourceReader(io.RawIOBase):
    """A file that a client library uploads from: *source*, whose digest is compared before its last byte is given.

    Args:
        path: for messages.
        sha256: the expected digest in hex; ``None`` compares only the length.
    """

    def __init__(self, path: str, source: OpenFile, sha256: str | None) -> None:
        self._path = path
        self._source = source
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next *size* bytes, all that are left for ``-1``.

        Raises:
            BodyTruncated: the source ended early, or has other bytes than the digest names.
        """
        whole = self._source.stat.size
        stop = whole if size is None or size < 0 else min(self._at + size, whole)
        if stop == self._at:
            return b""
        data = b"".join(self._source.chunks(self._at, stop))
        self._digest.update(data)
        if len(data) != stop - self._at:
            raise BodyTruncated(f"{self._path!r} came with {self._at + len(data)} bytes of {whole}", path=self._path)
        self._at = stop
        if stop == whole and self._sha256 not in {None, self._digest.hexdigest()}:
            raise BodyTruncated(f"the bytes of {self._path!r} are not those of SHA-256 {self._sha256}", path=self._path)
        return data


def stat_of_object(
    path: str,
    *,
    size: int,
    modified: datetime | None,
    validator: str | None,
    coding: str | None,
    metadata: Mapping[str, str],
) -> FileStat:
    """The facts of an object, as a client library reports them.

    Args:
        metadata: user metadata by lower-case name, with hyphens.
    """
    return FileStat(
        path,
        size,
        None if modified is None else (modified - _EPOCH) // _MICROSECOND * 1000,
        validator,
        sha256=hex64(metadata.get(SHA256_KEY, "")),
        published_fingerprint=recorded_fingerprint(metadata.get(FINGERPRINT_KEY, "")),
        coding=coding or None,
    )


def hex64(value: str) -> str | None:
    """*value* if it is a SHA-256 in 64 lower-case hex digits."""
    return value if value and _HEX64.fullmatch(value) else None


def recorded_fingerprint(value: str) -> str | None:
    """*value* if it is a fingerprint: 8 to 64 lower-case hex digits."""
    return value if _FINGERPRINT.fullmatch(value) else None


def stored_metadata(options: WriteOptions) -> dict[str, str]:
    """The user metadata of a written object, its digest included."""
    return {**({SHA256_KEY: options.sha256} if options.sha256 else {}), **options.metadata}


def retried(operation: Callable[[], T], attempts: int, translate: Callable[[Exception], AssetStoreError]) -> T:
    """What *operation* returns, which is tried up to *attempts* times while the storage cannot be reached or is busy.

    Between two attempts there is the pause that the storage asked for, up to :data:`LONGEST_PAUSE_SECONDS`, or a
    short random one.

    Args:
        translate: makes our error of one of the client library's.
    """

    def attempt() -> T:
        try:
            return operation()
        except AssetStoreError:
            raise
        except Exception as error:
            raise translate(error) from error

    for number in range(1, attempts):
        try:
            return attempt()
        except BackendUnavailable as error:
            wished = error.retry_after_seconds if isinstance(error, BackendThrottled) else None
            pause = backoff_seconds(number, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) if wished is None else wished
            time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
    return attempt()


def written(write: Callable[[], FileStat], stat: Callable[[], FileStat], options: WriteOptions) -> FileStat:
    """What *write* returns, and what was written where only the answer to an earlier attempt was lost.

    A write whose answer never came may have been carried out; the next attempt is then refused as if somebody else had
    been quicker. What lies there tells by its digest whose it is.

    Raises:
        PublishConflict: it is not ours.
    """
    try:
        return write()
    except PublishConflict:
        if options.sha256 is not None:
            with suppress(AssetNotFound):
                there = stat()
                if there.sha256 == options.sha256 and there.validator != options.if_validator:
                    return there
        raise


def split_url(url: str, example: str) -> tuple[str, str]:
    """Bucket and prefix of ``scheme://bucket/prefix``.

    Raises:
        SettingsError: it names no bucket, or has a ``.`` or ``..`` segment; the message shows *example*.
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not bucket:
        raise SettingsError(f"root {url!r} names no bucket; write {example}")
    if any(segment in {".", ".."} for segment in prefix.split("/")):
        raise SettingsError(f"root {url!r} has a '.' or '..' segment, which is part of the name in a bucket")
    return bucket, prefix
