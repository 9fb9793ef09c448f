"""A Google Cloud Storage bucket: stat, ranged open, listing, conditional write, delete.

The generation of an object is its validator: a number that no two versions of an object share
(Cloud Storage, "Object versioning" and "Request preconditions").
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from google.cloud.storage import Blob, Bucket

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WriteOptions
from assetstore.backends.gcs.client import GCSClient, GCSOptions, translate
from assetstore.backends.objects import (
    KeyPrefix,
    PinnedFile,
    SourceReader,
    retried,
    split_url,
    stat_of_object,
    stored_metadata,
    written,
)
from assetstore.backends.reader import Reader, ThreadReader
from assetstore.errors import AssetNotFound, BackendUnavailable, PublishConflict, VersionChanged

T = TypeVar("T")

#: The only fields of a listing that are used: the answer is a third as long.
_LISTED = "items(name,size,updated,generation,contentEncoding,metadata),nextPageToken"
#: Response headers, beside type, caching and coding, that are stored with an object.
_STORABLE = {"content-disposition": "content_disposition", "content-language": "content_language"}


class GCSBackend:
    """The objects beneath a prefix of a bucket; writable.

    ``updated`` is the modified time, in microseconds; the generation is the validator.
    """

    remote = True
    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: frozenset[str] = paths.WELL_KNOWN
    #: Both are one step on the server (``ifGenerationMatch``).
    conditional_creates = True
    conditional_replaces = True

    def __init__(self, bucket: str, prefix: str = "", options: GCSOptions | None = None) -> None:
        self.label = f"gs://{bucket}/{prefix.strip('/')}".rstrip("/")
        self.client = GCSClient(bucket, options or GCSOptions())
        self._keys = KeyPrefix(self.label, prefix)
        self._attempts = self.client.options.attempts

    def __repr__(self) -> str:
        return f"GCSBackend({self.label!r})"

    def stat(self, path: str) -> FileStat:
        return self._stat_of(path, self._blob(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        stat = self._stat_of(path, self._blob(path, validator))

        def read(start: int, stop: int) -> bytes:
            try:
                return self._read(path, stat.validator, start, stop)
            except AssetNotFound as error:  # what a replaced generation is answered with
                raise VersionChanged(f"{path!r} was replaced while it was read", path=path) from error

        return PinnedFile(stat, read)

    def walk(self) -> Iterator[FileStat]:
        for page in self._pages(""):
            for blob in page:
                if (path := self._keys.path(blob.name, self.dot_names)) is not None:
                    yield self._stat_of(path, blob)

    def reader(self) -> Reader:
        """How serving reads: in threads, no more of them than there are connections, and one attempt at a time."""
        once = copy.copy(self)
        once._attempts = 1
        return ThreadReader(once, max_threads=self.client.options.max_connections)

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self._keys.key(path)
        generation = 0 if options.create_only else _generation(options.if_validator)
        if options.if_validator is not None and generation is None:
            raise PublishConflict(f"{self.label}/{path} is no longer the version {options.if_validator!r}")

        def upload(bucket: Bucket) -> Blob:
            blob = bucket.blob(key)
            blob.cache_control = options.cache_control
            blob.content_encoding = options.content_encoding
            blob.metadata = stored_metadata(options)
            for name, value in options.extra.items():
                if name.lower() in _STORABLE:
                    setattr(blob, _STORABLE[name.lower()], value)
                else:
                    self._keys.cannot_store(name)
            blob.upload_from_file(
                SourceReader(path, source, options.sha256),
                size=source.stat.size,
                content_type=options.content_type,
                if_generation_match=generation,
                timeout=self.client.write_timeout,
                retry=None,
            )
            return blob

        def write() -> FileStat:
            try:
                return self._stat_of(path, self._call(path, upload))
            except VersionChanged as error:
                found = (
                    "exists already" if options.create_only else f"is no longer the version {options.if_validator!r}"
                )
                raise PublishConflict(f"{self.label}/{path} {found}") from error

        return written(write, lambda: self.stat(path), options)

    def delete(self, path: str) -> None:
        key = self._keys.key(path)
        with suppress(AssetNotFound):
            self._call(path, lambda bucket: bucket.blob(key).delete(timeout=self.client.write_timeout, retry=None))

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def _blob(self, path: str, validator: str | None = None) -> Blob:
        key = self._keys.key(path)
        generation = _generation(validator)
        if validator is not None and generation is None:
            raise VersionChanged(f"{path!r} has no version {validator!r}", path=path)
        blob = self._call(
            path,
            lambda bucket: bucket.get_blob(
                key, if_generation_match=generation, timeout=self.client.read_timeout, retry=None
            ),
        )
        if blob is None:
            self._require_bucket(path)
            raise AssetNotFound(path, self.label)
        if generation not in {None, blob.generation}:  # a server that does not know the condition
            raise VersionChanged(f"{path!r} is no longer the version {validator!r}", path=path)
        return blob

    def _require_bucket(self, path: str) -> None:
        """Raise where the whole bucket is missing: ``get_blob`` calls that a missing object."""
        next(self._pages(path, max_results=1), None)

    def _pages(self, path: str, **options: Any) -> Iterator[Iterable[Blob]]:
        """The pages of a listing.

        Raises:
            BackendUnavailable: there is no such bucket.
        """
        prefix, timeout = self._keys.prefix, self.client.read_timeout
        token: str | None = None

        def page_at(bucket: Bucket) -> tuple[list[Blob], str | None]:
            found = bucket.client.list_blobs(
                bucket, prefix=prefix, fields=_LISTED, page_token=token, timeout=timeout, retry=None, **options
            )
            return list(next(found.pages, ())), found.next_page_token

        try:
            while True:
                page, token = self._call(path, page_at)
                yield page
                if not token or options:
                    return
        except AssetNotFound as error:
            raise BackendUnavailable(f"{self.label}: there is no such bucket", path=path) from error

    def _read(self, path: str, validator: str | None, start: int, stop: int) -> bytes:
        key = self._keys.key(path)
        content: bytes = self._call(
            path,
            lambda bucket: bucket.blob(key, generation=_generation(validator)).download_as_bytes(
                start=start,
                end=stop - 1,
                raw_download=True,  # else an object that is stored as gzip arrives decoded
                checksum=None,
                timeout=self.client.read_timeout,
                retry=None,
            ),
        )
        return content

    def _stat_of(self, path: str, blob: Blob) -> FileStat:
        return stat_of_object(
            path,
            size=int(blob.size or 0),
            modified=blob.updated,
            validator=str(blob.generation) if blob.generation else None,
            coding=blob.content_encoding,
            metadata=blob.metadata or {},
        )

    def _call(self, path: str, operation: Callable[[Bucket], T]) -> T:
        """What *operation* returns; the client's faults become ours, and those that may pass are tried again."""
        return retried(
            lambda: operation(self.client.bucket()),
            self._attempts,
            lambda error: translate(error, path, self.label),
        )


def _generation(validator: str | None) -> int | None:
    return int(validator) if validator is not None and validator.isdecimal() else None


def open_url(url: str, storage_options: Mapping[str, Any]) -> GCSBackend:
    """The backend of a ``gs://bucket/prefix`` URL.

    Raises:
        SettingsError: it names no bucket, an option is unknown or impossible, or there are no credentials.
    """
    bucket, prefix = split_url(url, "gs://bucket or gs://bucket/prefix")
    return GCSBackend(bucket, prefix, GCSOptions.of(storage_options))
