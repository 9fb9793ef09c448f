"""A Google Cloud Storage bucket: stat, ranged open, listing, conditional write, delete.

The generation of an object is its validator: a number that no two versions of an object share
(Cloud Storage, "Object versioning" and "Request preconditions").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.cloud.storage import Blob, Bucket

from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WriteOptions
from assetstore.backends.gcs.client import GCSClient, GCSOptions, translate
from assetstore.backends.objects import (
    ObjectBackend,
    PieceBody,
    SourceReader,
    split_url,
    stat_of_object,
    stored_metadata,
)
from assetstore.backends.ranged import Download, SyncRangedFile
from assetstore.errors import AssetNotFound, AssetStoreError, BackendUnavailable, PublishConflict, VersionChanged

#: The only fields of a listing that are used: the answer is a third as long.
_LISTED = "items(name,size,updated,generation,contentEncoding,metadata),nextPageToken"


class GCSBackend(ObjectBackend[Bucket]):
    """The objects beneath a prefix of a bucket; writable.

    ``updated`` is the modified time, in microseconds; the generation is the validator. Conditions are
    ``ifGenerationMatch``.
    """

    SCHEME = "gs"
    client: GCSClient

    def __init__(self, bucket: str, prefix: str = "", options: GCSOptions | None = None) -> None:
        options = options or GCSOptions()
        super().__init__(bucket, prefix, options, GCSClient(bucket, options))

    def stat(self, path: str) -> FileStat:
        return _stat_of(path, self._blob(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        # The response with the bytes has no user metadata, so an open file costs one request more than its reads.
        stat = _stat_of(path, self._blob(path, validator))

        def fetch(path: str, span: Span, validator: str | None) -> Download:
            part = span.within(stat.size)
            return Download(stat, part, PieceBody(part, lambda start, stop: self._read(stat, start, stop)))

        return SyncRangedFile.open(fetch, path, span, stat.validator)

    def walk(self) -> Iterator[FileStat]:
        for page in self._pages(""):
            for blob in page:
                if (path := self.path_of(blob.name)) is not None:
                    yield _stat_of(path, blob)

    def _write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self.key(path)
        generation = 0 if options.create_only else _generation(options.if_validator)
        if options.if_validator is not None and generation is None:
            raise PublishConflict(f"{options.if_validator!r} is no generation")
        headers = self.stored_headers(options)

        def upload(bucket: Bucket) -> Blob:
            blob = bucket.blob(key)
            blob.cache_control = options.cache_control
            blob.content_encoding = options.content_encoding
            blob.metadata = stored_metadata(options)
            for field, value in headers.items():
                setattr(blob, field, value)
            blob.upload_from_file(
                SourceReader(path, source, options.sha256),
                size=source.stat.size,
                content_type=options.content_type,
                if_generation_match=generation,
                timeout=self.client.write_timeout,
                retry=None,
            )
            return blob

        return _stat_of(path, self.call(path, upload))

    def _delete(self, client: Bucket, key: str) -> None:
        client.blob(key).delete(timeout=self.client.write_timeout, retry=None)

    def _blob(self, path: str, validator: str | None = None) -> Blob:
        key = self.key(path)
        generation = _generation(validator)
        if validator is not None and generation is None:
            raise VersionChanged(f"{path!r} has no version {validator!r}", path=path)
        blob = self.call(
            path,
            lambda bucket: bucket.get_blob(
                key, if_generation_match=generation, timeout=self.client.read_timeout, retry=None
            ),
        )
        if blob is None:
            # The same answer as for a missing bucket, which a listing tells from an empty one.
            next(self._pages(path, max_results=1), None)
            raise AssetNotFound(path, self.label)
        if generation not in {None, blob.generation}:  # a server that does not know the condition
            raise VersionChanged(f"{path!r} is no longer the version {validator!r}", path=path)
        return blob

    def _pages(self, path: str, **options: Any) -> Iterator[Iterable[Blob]]:
        """The pages of a listing.

        Raises:
            BackendUnavailable: there is no such bucket.
        """
        token: str | None = None

        def page_at(bucket: Bucket) -> tuple[list[Blob], str | None]:
            found = bucket.client.list_blobs(
                bucket,
                prefix=self.prefix,
                fields=_LISTED,
                page_token=token,
                timeout=self.client.read_timeout,
                retry=None,
                **options,
            )
            return list(next(found.pages, ())), found.next_page_token

        try:
            while True:
                page, token = self.call(path, page_at)
                yield page
                if not token or options:
                    return
        except AssetNotFound as error:
            raise BackendUnavailable(f"{self.label}: there is no such bucket", path=path) from error

    def _read(self, stat: FileStat, start: int, stop: int) -> bytes:
        """The bytes ``start`` to ``stop`` of the version that *stat* describes."""
        key = self.key(stat.path)
        try:
            content: bytes = self.call(
                stat.path,
                lambda bucket: bucket.blob(key, generation=_generation(stat.validator)).download_as_bytes(
                    start=start,
                    end=stop - 1,
                    raw_download=True,  # else an object that is stored as gzip arrives decoded
                    checksum=None,
                    timeout=self.client.read_timeout,
                    retry=None,
                ),
            )
        except AssetNotFound as error:  # what a replaced generation is answered with
            raise VersionChanged(f"{stat.path!r} was replaced while it was read", path=stat.path) from error
        return content

    def _translate(self, error: Exception, path: str) -> AssetStoreError:
        return translate(error, path, self.label)


def _stat_of(path: str, blob: Blob) -> FileStat:
    return stat_of_object(
        path,
        size=int(blob.size or 0),
        modified=blob.updated,
        validator=str(blob.generation) if blob.generation else None,
        coding=blob.content_encoding,
        metadata=blob.metadata or {},
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
