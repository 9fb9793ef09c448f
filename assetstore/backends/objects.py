"""What every object storage has: keys beneath a prefix, ``storage_options`` as typed values, pinned ranges, user metadata,
and uploads that are checked.
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Generic, Self, TypeVar

from assetstore.assets import paths
from assetstore.backends.base import FileStat, OpenFile, WriteOptions
from assetstore.backends.ranged import Body
from assetstore.backends.reader import Reader, ThreadReader
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendThrottled,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    UnsafePath,
    VersionChanged,
)
from assetstore.util import backoff_seconds

#: The options of every storage with a backend of its own, by all their names; a test compares them with the backends.
KNOWN = frozenset(
    """
    account account_host account_key account_name account_url anon attempts aws_access_key_id aws_secret_access_key
    aws_session_token addressing_style backend connect_timeout_seconds connection_string credential endpoint endpoint_url
    forbidden_is_missing headers key max_connections profile profile_name project put_arguments read_timeout_seconds
    reader region region_name requester_pays sas_token secret service token unsigned user_project verify
    write_timeout_seconds
    """.split()
)


def check_names(options: Mapping[str, Any]) -> None:
    """Look over *options* that nobody reads here: a local root ignores what a bucket needs.

    Raises:
        SettingsError: one is spelled almost as an option of a storage that is known.
    """
    if not options:
        return
    import difflib

    for name in options:
        if name not in KNOWN and (close := difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.85)):
            raise SettingsError(f"storage_options know no {name!r}; did you mean {close[0]!r}?")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


T = TypeVar("T")
#: The client object of a storage's own library.
SDK = TypeVar("SDK")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketOptions:
    """The ``storage_options`` that every object storage has. What is ``None`` comes from its usual environment."""

    #: What messages call the storage.
    SERVICE: ClassVar[str]
    #: The names that users of fsspec's own filesystem know, and ours for the same thing.
    ALIASES: ClassVar[Mapping[str, str]]
    #: Whose defaults in ``fsspec.config`` hold.
    SCHEMES: ClassVar[tuple[str, ...]]

    #: Open connections to the bucket at once.
    max_connections: int = 64
    connect_timeout_seconds: float = 2.0
    read_timeout_seconds: float = 5.0
    #: How often one request is tried in all. Serving from GCS and Azure tries by ``RemoteLimits`` instead.
    attempts: int = 3

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The options by our names or those of fsspec's own filesystem.

        Defaults in ``fsspec.config`` (files in ``~/.config/fsspec``, ``FSSPEC_*``) fill what is not given.

        Raises:
            SettingsError: an option is unknown, or given under two names, or a limit is not above zero.
        """
        known = {each.name: each.default for each in fields(cls)}
        given: dict[str, Any] = {}
        for name, value in options.items():
            real = cls.ALIASES.get(name, name)
            if real not in known:
                names = ", ".join(sorted(known))
                raise SettingsError(f"storage_options of {cls.SERVICE} know no {name!r}; they are: {names}")
            if real in given:
                raise SettingsError(f"storage_options give {real!r} twice, once as {name!r}; give it once")
            if type(known[real]) in {int, float} and not (_is_number(value) and value > 0):
                raise SettingsError(f"storage_options[{name!r}] is {value!r}; it must be a number above zero")
            given[real] = value
        from fsspec.config import conf  # fsspec takes 140 ms to import

        for scheme in cls.SCHEMES:
            for name, value in conf.get(scheme, {}).items():
                if (real := cls.ALIASES.get(name, name)) in known:
                    given.setdefault(real, value)
        return cls(**given)


class PooledClient(Generic[SDK]):
    """One client of a storage's own library, shared by threads: made at first use, and again after :meth:`close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: SDK | None = None

    @property
    def is_made(self) -> bool:
        """Whether :meth:`get` returns at once."""
        return self._made is not None

    def get(self) -> SDK:
        """The client; no request is sent.

        Raises:
            SettingsError: it cannot be made from the options.
        """
        made = self._made
        if made is None:
            with self._lock:
                if (made := self._made) is None:
                    made = self._made = self._make()
        return made

    def close(self) -> None:
        """Close the pooled connections; a later use opens new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            self._end(made)

    def _make(self) -> SDK:
        raise NotImplementedError

    def _end(self, made: SDK) -> None:
        made.close()  # type: ignore[attr-defined]


class ObjectBackend(Generic[SDK]):
    """The objects beneath a prefix of a bucket; writable.

    A class for one storage says what the errors of its client mean, and has the verbs.

    Args:
        bucket: its name.
        prefix: what every key begins with, without slashes at its ends; empty for the whole bucket.
        client: what requests are sent with; several backends may share it.
    """

    SCHEME: ClassVar[str]
    #: The longest key that the storage accepts, in UTF-8 bytes.
    MAX_KEY_BYTES: ClassVar[int] = 1024
    #: Response headers, beside type, caching and coding, that the storage keeps with an object: its names for them.
    STORED_HEADERS: ClassVar[Mapping[str, str]] = {
        "content-disposition": "content_disposition",
        "content-language": "content_language",
    }

    remote = True
    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: bool | frozenset[str] = paths.WELL_KNOWN
    #: Whether ``create_only`` and ``if_validator`` are one step on the server.
    conditional_creates: bool | None = True
    conditional_replaces: bool | None = True

    def __init__(self, bucket: str, prefix: str, options: BucketOptions, client: PooledClient[SDK]) -> None:
        prefix = prefix.strip("/")
        self.bucket = bucket
        self.client = client
        self.prefix = f"{prefix}/" if prefix else ""
        self.label = f"{self.SCHEME}://{bucket}/{prefix}".rstrip("/")
        self._attempts = options.attempts
        self._max_threads = options.max_connections
        self._unstored: set[str] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    @property
    def max_path_bytes(self) -> int:
        """The longest path whose key the storage takes, in UTF-8 bytes."""
        return self.MAX_KEY_BYTES - len(self.prefix.encode())

    def key(self, path: str) -> str:
        """The key of *path*.

        Raises:
            AssetNotFound: no object can have that key.
        """
        try:
            key = self.prefix + paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None
        if len(key.encode()) > self.MAX_KEY_BYTES:
            raise AssetNotFound(path, self.label, f"with its prefix it is longer than {self.MAX_KEY_BYTES} bytes")
        return key

    def path_of(self, key: str) -> str | None:
        """The logical path of *key*; ``None`` for what is no asset, such as markers of folders and hidden names."""
        path = key.removeprefix(self.prefix)
        return path if key.startswith(self.prefix) and paths.is_clean(path, hidden=self.dot_names) else None

    def reader(self) -> Reader:
        """How serving reads: in threads, no more of them than there are connections, and one attempt at a time."""
        once = copy.copy(self)
        once._attempts = 1
        return ThreadReader(once, max_threads=self._max_threads)  # type: ignore[arg-type]

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`.

        A write whose answer never came may have been carried out; the next attempt is then refused as if somebody
        else had been quicker. What lies there tells by its digest whose it is.
        """
        try:
            return self._write(path, source, options)
        except (VersionChanged, PublishConflict) as error:
            if options.sha256 is not None:
                with suppress(AssetNotFound):
                    there = self.stat(path)
                    if there.sha256 == options.sha256 and there.validator != options.if_validator:
                        return there
            found = "exists already" if options.create_only else f"is no longer the version {options.if_validator!r}"
            raise PublishConflict(f"{self.label}/{path} {found}") from error

    def delete(self, path: str) -> None:
        key = self.key(path)
        with suppress(AssetNotFound):
            self.call(path, lambda client: self._delete(client, key))

    def stored_headers(self, options: WriteOptions) -> dict[str, str]:
        """The further headers of *options* that the storage keeps, by its names; of any other the log says so once."""
        stored = {}
        for name, value in options.extra.items():
            if field := self.STORED_HEADERS.get(name.lower()):
                stored[field] = value
            elif name not in self._unstored:
                self._unstored.add(name)
                _log.warning("%s cannot store the header %s with its objects; let the CDN add it", self.label, name)
        return stored

    def close(self) -> None:
        """Close idle connections; the next use opens new ones."""
        self.client.close()

    def call(self, path: str, operation: Callable[[SDK], T]) -> T:
        """What *operation* returns; the client's errors become ours.

        An operation is tried up to ``attempts`` times while the storage cannot be reached or is busy. Between two
        attempts there is the pause that the storage asked for, up to :data:`LONGEST_PAUSE_SECONDS`, or a short random
        one.
        """

        def attempt() -> T:
            try:
                return operation(self.client.get())
            except AssetStoreError:
                raise
            except Exception as error:
                raise self._translate(error, path) from error

        for number in range(1, self._attempts):
            try:
                return attempt()
            except BackendUnavailable as error:
                wished = error.retry_after_seconds if isinstance(error, BackendThrottled) else None
                pause = (
                    backoff_seconds(number, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS) if wished is None else wished
                )
                time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        return attempt()

    # What the class of one storage adds.

    def stat(self, path: str) -> FileStat:
        raise NotImplementedError

    def _translate(self, error: Exception, path: str) -> AssetStoreError:
        """Our error for one that the client raised."""
        raise NotImplementedError

    def _write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """Write once.

        Raises:
            VersionChanged, PublishConflict: the condition of *options* does not hold.
        """
        raise NotImplementedError

    def _delete(self, client: SDK, key: str) -> object:
        raise NotImplementedError


class PieceBody(Body):
    """A body that is fetched by ranged requests of up to :data:`PIECE_BYTES`, for client libraries without streams.

    Args:
        part: which bytes it brings (half-open).
        fetch: the bytes ``start`` to ``stop`` of the same version, in one request.
        first: what the first request has already brought.
    """

    def __init__(self, part: tuple[int, int], fetch: Callable[[int, int], bytes], first: bytes = b"") -> None:
        self._at, self._stop = part
        self._fetch = fetch
        self._first = first

    async def read(self, size: int) -> bytes:
        """The next piece, of whatever length; ``b""`` at the end."""
        piece, self._first = self._first, b""
        if not piece and self._at < self._stop:
            piece = self._fetch(self._at, min(self._at + PIECE_BYTES, self._stop))
        self._at += len(piece)
        return piece


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
