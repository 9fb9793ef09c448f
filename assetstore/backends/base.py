"""The contract of a backend: ``stat``, ``open`` and ``walk``; ``write`` and ``delete``.

``stat`` tells what is known of a file without opening it; ``open`` opens one version of it, and
what it returns tells the same facts of the very bytes that it will read. ``walk`` lists every
file. A writable backend adds ``write`` and ``delete``. The contract is sync: URLs, publishing
and the command line use it as it is; serving lifts it (see :mod:`assetstore.backends.reader`).

Every verb raises only the errors of :mod:`assetstore.errors`: a missing file, a directory, and
anything that is no regular file are all :class:`~assetstore.errors.AssetNotFound`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from assetstore.errors import AssetNotFound, BackendError, BodyTruncated

#: Where a cache has its answer from (RFC 9211). ``hit``: it was cached; ``miss``: from the storage;
#: ``collapsed``: from the request of somebody else; ``stale``: it is old, and the storage did
#: not answer.
Outcome = Literal["hit", "miss", "collapsed", "stale"]


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """What a cache says of what it gives."""

    outcome: Outcome
    #: For a stale one: seconds since the storage last said that this version is the current one.
    age_seconds: float = 0.0


class FileSignature(NamedTuple):
    """What tells one state of a local file from the next, taken from an opened file or from its name.

    A copy that keeps size and modified time has another inode; a change in place with the times set
    back has another change time, which no program can set (``stat(2)``).
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


#: What identifies one version of one file; see :attr:`FileStat.version`.
Version = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class FileStat:
    """What a backend reports of one version of one file. Absence is ``None``."""

    #: Logical path.
    path: str
    #: Bytes as stored (after any content coding).
    size: int
    #: Modified time in whole nanoseconds since the epoch, UTC.
    mtime_ns: int | None = None
    #: Opaque strong validator without quotes (an S3 or HTTP ETag). Local disk reports none.
    validator: str | None = None
    #: SHA-256 of the stored bytes, 64 lower-case hex digits, where the storage recorded it.
    sha256: str | None = None
    #: The fingerprint this file has now, where the backend itself decides it (rewritten style
    #: sheets do). ``stat``, ``open`` and ``walk`` must agree on it.
    fingerprint: str | None = None
    #: The fingerprint that a publish recorded with this very object (S3 user metadata
    #: ``assetstore-fingerprint``); known from ``stat`` and ``open``, not from a listing.
    published_fingerprint: str | None = None
    #: Content coding of the stored bytes (``br``, ``gzip``, ``zstd``), where recorded.
    coding: str | None = None
    #: How a cache came by these facts; ``None`` where none stands between. No part of equality.
    cache: CacheFacts | None = field(default=None, compare=False)
    #: Of files on this machine.
    signature: FileSignature | None = None

    @property
    def version(self) -> Version:
        """What identifies this version of this file: whatever is derived from the bytes is kept under it.

        The path with the signature of a local file; else with the validator and the size; else with
        size and modified time, which is all that is left where the storage reports no validator.
        """
        if self.signature is not None:
            return self.path, *self.signature
        return self.path, self.validator, self.size, self.mtime_ns if self.validator is None else None

    def through(self, cache: CacheFacts) -> FileStat:
        """The same facts, as *cache* came by them. Quicker than ``replace``, and on the way of every remote read."""
        return FileStat(
            self.path,
            self.size,
            self.mtime_ns,
            self.validator,
            self.sha256,
            self.fingerprint,
            self.published_fingerprint,
            self.coding,
            cache,
            self.signature,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open byte range like a slice: ``Span(-500)`` is the last 500 bytes."""

    start: int = 0
    stop: int | None = None

    def within(self, size: int) -> tuple[int, int]:
        """The same span as absolute ``(start, stop)`` for a file of *size* bytes."""
        start, stop, _ = slice(self.start, self.stop).indices(size)
        return start, max(start, stop)


WHOLE = Span()


class OpenFile(Protocol):
    """One opened version of a file. Who opens, closes."""

    @property
    def stat(self) -> FileStat:
        """The facts of the version that is open; ``size`` is the whole file's."""

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes ``start`` to ``stop`` (half-open) of this version.

        Raises:
            VersionChanged: the file was replaced and this version can no longer be read.
            BodyTruncated: the file became shorter, or the connection broke off.
        """

    def close(self) -> None:
        """Give back the descriptor or connection; closing twice is harmless."""


@runtime_checkable
class Backend(Protocol):
    """A place where bytes live."""

    @property
    def label(self) -> str:
        """What operators see in messages: ``s3://bucket/prefix``, a directory; no secrets."""

    @property
    def remote(self) -> bool:
        """Whether a ``stat`` crosses a network, so that ``url_for`` must never make one."""

    def stat(self, path: str) -> FileStat:
        """What is known of *path* without opening it.

        Raises:
            AssetNotFound: missing, or no regular file.
            BackendError: storage failed; one of its subclasses.
        """

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        """Open *path*. *span* is what will be read first, so one request can fetch it.

        With *validator*, only that version is opened.

        Raises:
            AssetNotFound, BackendError: as ``stat``.
            RangeNotSatisfiable: the span starts past the end (only storage that judges it).
            VersionChanged: *validator* is not the current version's.
        """

    def walk(self) -> Iterator[FileStat]:
        """Every file, in no promised order; hidden and unsafe names are left out."""


@runtime_checkable
class FindsSiblings(Protocol):
    """A backend that can tell which files stand beside one version of a file."""

    def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        """The files in the folder of that version whose names are its own and one of *suffixes*, and whether those are all.

        They are not all where a fault hid some.

        Raises:
            VersionChanged: that version is gone.
            AssetNotFound, BackendError: as ``stat``.
        """


def siblings_of(backend: Backend, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
    """As :meth:`FindsSiblings.siblings`, of any backend."""
    find = backend.siblings if isinstance(backend, FindsSiblings) else partial(stat_siblings, backend)
    return find(stat, suffixes)


def stat_siblings(backend: Backend, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
    """As :meth:`FindsSiblings.siblings`, looked up one by one."""
    found: dict[str, FileStat] = {}
    complete = True
    for suffix in suffixes:
        try:
            found[suffix] = backend.stat(stat.path + suffix)
        except AssetNotFound:
            continue
        except BackendError:
            complete = False
    return found, complete


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a file is written: the headers stored with it, the condition, the expected checksum."""

    content_type: str
    cache_control: str
    content_encoding: str | None = None
    #: Further response headers by name, as a mount's patterns give them.
    extra: Mapping[str, str] = field(default_factory=dict)
    #: User metadata (S3 ``x-amz-meta-*``), lower-case names without the prefix.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: Write only if there is no such file (``If-None-Match: *``).
    create_only: bool = False
    #: Write only over the version with this validator (``If-Match``); ignored with ``create_only``.
    if_validator: str | None = None
    #: Expected SHA-256 of the bytes, 64 lower-case hex digits; other bytes are refused. Stored
    #: with the object where the storage can.
    sha256: str | None = None


class PresignedUrl(NamedTuple):
    """A URL at which anyone may read one file without credentials."""

    url: str
    #: Until when, in seconds since the epoch.
    until: float
    #: What a request has to send as ``If-Match`` so that it gets the wanted version; ``None`` where the URL says it, or
    #: any version will do.
    if_match: str | None = None


@runtime_checkable
class Presigns(Protocol):
    """A backend that can give others access to a file for a while, by a signed URL."""

    def require_signing(self) -> None:
        """Raise ``SettingsError`` if its options name credentials that cannot sign; no request is sent."""

    def presigned_url(
        self, path: str, *, content_type: str, cache_control: str, seconds: int, validator: str | None = None
    ) -> PresignedUrl:
        """The URL of *path*. Makes no request for the file; credentials may have to be looked up.

        Args:
            path: the logical path.
            content_type: the Content-Type of responses, whatever is stored.
            cache_control: the same for Cache-Control.
            seconds: how long the URL is good for; less where the credentials end before.
            validator: of the version that is wanted; ``None`` for what there is when the URL is followed.

        Raises:
            AssetNotFound: *path* can be no key.
            BackendError, SettingsError: there are no credentials to sign with.
        """


@runtime_checkable
class WritableBackend(Backend, Protocol):
    """A backend that can also be published to."""

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """Write the whole of *source* as *path*, atomically: readers see the old or the new bytes.

        What is returned are the facts of the new version; its time may be missing.

        Raises:
            PublishConflict: ``create_only`` and it exists, or it is no longer ``if_validator``.
            BodyTruncated: *source* ended early, or has another SHA-256 than ``sha256``.
        """

    def delete(self, path: str) -> None:
        """Remove *path*; one that is already gone is no error."""


@runtime_checkable
class LearnsConditions(Protocol):
    """A writable backend whose server may lack conditional writes, or accept and ignore them.

    ``None``: not known. Only a write that was refused proves that the server has the condition, so a
    success is no proof; publishing makes one that must fail and keeps the outcome. Where a server lacks
    a condition the object is read before it is written, which two writers at once can defeat.
    """

    #: Whether ``create_only`` is one step.
    conditional_creates: bool | None
    #: Whether ``if_validator`` is one step; some servers have only the other.
    conditional_replaces: bool | None


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A part of an upload that has not ended: a temporary file, or a multipart upload of S3."""

    #: The temporary file's path, or the object's name.
    path: str
    #: Bytes that it takes; 0 where the storage does not report them.
    size: int
    #: When it began, in nanoseconds since the epoch.
    started_ns: int
    #: The storage's id of the upload; empty for a file.
    id: str = ""


@runtime_checkable
class KeepsUnfinished(Protocol):
    """A writable backend in which a killed writer leaves parts behind."""

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """Every one, also those that are being written now.

        Raises:
            BackendError: storage failed.
        """

    def remove_unfinished(self, upload: UnfinishedUpload) -> None:
        """Remove *upload*; one that is gone already is no error."""


def read_bytes(backend: Backend, path: str) -> bytes:
    """The whole of a small file.

    Raises:
        AssetNotFound, BackendError: as ``open``.
    """
    opened = backend.open(path)
    try:
        return b"".join(opened.chunks(0, opened.stat.size))
    finally:
        opened.close()


def digest_of_bytes(backend: Backend, path: str) -> str:
    """SHA-256 of the bytes of *path* in hex; they are read, whatever the storage recorded.

    Raises:
        AssetNotFound, BackendError: as ``open``.
    """
    digest = hashlib.sha256()
    opened = backend.open(path)
    try:
        for chunk in opened.chunks(0, opened.stat.size):
            digest.update(chunk)
    finally:
        opened.close()
    return digest.hexdigest()


def copy_bytes(source: OpenFile, write: Callable[[bytes], object], path: str, sha256: str | None) -> None:
    """Give the whole of *source* to *write*, chunk by chunk; *path* is for messages.

    Raises:
        BodyTruncated: it ended early, or its SHA-256 is not *sha256*.
    """
    digest = hashlib.sha256()
    written = 0
    for chunk in source.chunks(0, source.stat.size):
        digest.update(chunk)
        written += len(chunk)
        write(chunk)
    if written != source.stat.size:
        raise BodyTruncated(f"{path!r} came with {written} bytes of {source.stat.size}", path=path)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise BodyTruncated(f"the bytes of {path!r} are not those of SHA-256 {sha256}", path=path)


class BytesFile:
    """One version of a short file, in memory; an :class:`OpenFile`."""

    __slots__ = ("_data", "stat")

    def __init__(self, stat: FileStat, data: bytes) -> None:
        self.stat = stat
        self._data = data

    @classmethod
    def of(cls, path: str, data: bytes) -> BytesFile:
        """*data* as what will be written under *path*."""
        return cls(FileStat(path, len(data)), data)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """As :meth:`OpenFile.chunks`, in one piece."""
        if stop > len(self._data):
            raise BodyTruncated(f"{self.stat.path!r} has {len(self._data)} bytes, not {stop}", path=self.stat.path)
        if start < stop:
            yield self._data[start:stop]

    def close(self) -> None:
        """Memory needs no giving back."""


class SpooledFile:
    """A long text in a temporary file, as what will be written; an :class:`OpenFile`.

    The manifest of 50,000 assets has 50 MB.
    """

    def __init__(self, path: str, lines: Iterable[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        digest, size = hashlib.sha256(), 0
        for line in lines:
            digest.update(line)
            size += self._file.write(line)
        self.stat = FileStat(path, size)
        self.sha256 = digest.hexdigest()

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """As :meth:`OpenFile.chunks`."""
        while start < stop:
            self._file.seek(start)
            chunk = self._file.read(min(256 * 1024, stop - start))
            start += len(chunk)
            yield chunk

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()

    def __enter__(self) -> SpooledFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
