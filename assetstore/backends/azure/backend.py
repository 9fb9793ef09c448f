"""An Azure Blob Storage container: stat, ranged open, listing, conditional write, delete.

The ETag of a blob is its validator (Blob service REST API, "Specifying conditional headers").
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.storage.blob import BlobProperties, ContainerClient, ContentSettings

from assetstore.assets import paths
from assetstore.backends.azure.client import AzureClient, AzureOptions, translate
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WriteOptions
from assetstore.backends.objects import (
    PIECE_BYTES,
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
from assetstore.errors import AssetNotFound, PublishConflict, RangeNotSatisfiable, VersionChanged

T = TypeVar("T")

#: Response headers, beside type, caching and coding, that are stored with a blob.
_STORABLE = {"content-disposition": "content_disposition", "content-language": "content_language"}
_ACCOUNT = re.compile(r"([a-z0-9]{3,24})\.(?:blob|dfs)\.core\.[a-z.]+")


class AzureBackend:
    """The blobs beneath a prefix of a container; writable.

    ``Last-Modified`` is the modified time, in whole seconds; the ETag is the validator. Names of user metadata
    must be C# identifiers there, so ``assetstore-sha256`` is stored as ``assetstore_sha256``.
    """

    remote = True
    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: frozenset[str] = paths.WELL_KNOWN
    #: Both are one step on the server (``If-None-Match``, ``If-Match``).
    conditional_creates = True
    conditional_replaces = True

    def __init__(self, container: str, prefix: str = "", options: AzureOptions | None = None) -> None:
        self.label = f"az://{container}/{prefix.strip('/')}".rstrip("/")
        self.client = AzureClient(container, options or AzureOptions())
        self._keys = KeyPrefix(self.label, prefix)
        self._attempts = self.client.options.attempts

    def __repr__(self) -> str:
        return f"AzureBackend({self.label!r})"

    def stat(self, path: str) -> FileStat:
        key = self._keys.key(path)
        return self._stat_of(path, self._call(path, lambda c: c.get_blob_client(key).get_blob_properties()))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        if span.start < 0:  # a suffix: only the size tells where it begins
            stat = self._pinned(self.stat(path), validator)
            first = b""
            at = stat.size
        else:
            at = span.start
            stop = min(at + PIECE_BYTES, at + PIECE_BYTES if span.stop is None else max(span.stop, at + 1))
            stat, first = self._first(path, at, stop, validator)

        def read(start: int, stop: int) -> bytes:
            if at <= start and stop <= at + len(first):
                return first[start - at : stop - at]
            return self._get(path, start, stop, stat.validator)[1]

        return PinnedFile(stat, read)

    def walk(self) -> Iterator[FileStat]:
        prefix = self._keys.prefix
        token: str | None = None

        def page_at(container: ContainerClient) -> tuple[list[BlobProperties], str | None]:
            pages: Any = container.list_blobs(name_starts_with=prefix, include=["metadata"]).by_page(token)
            return list(next(pages, ())), pages.continuation_token

        while True:
            page, token = self._call("", page_at)
            for blob in page:
                if (path := self._keys.path(blob.name, self.dot_names)) is not None and not _is_folder(blob):
                    yield self._stat_of(path, blob)
            if not token:
                return

    def reader(self) -> Reader:
        """How serving reads: in threads, no more of them than there are connections, and one attempt at a time."""
        once = copy.copy(self)
        once._attempts = 1
        return ThreadReader(once, max_threads=self.client.options.max_connections)

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self._keys.key(path)
        settings = ContentSettings(
            content_type=options.content_type,
            cache_control=options.cache_control,
            content_encoding=options.content_encoding,
        )
        for name, value in options.extra.items():
            if name.lower() in _STORABLE:
                setattr(settings, _STORABLE[name.lower()], value)
            else:
                self._keys.cannot_store(name)
        condition: dict[str, Any] = {"overwrite": not options.create_only}
        if not options.create_only and options.if_validator is not None:
            condition |= {"etag": f'"{options.if_validator}"', "match_condition": MatchConditions.IfNotModified}
        metadata = stored_metadata(options)

        def upload(container: ContainerClient) -> dict[str, Any]:
            return container.get_blob_client(key).upload_blob(
                SourceReader(path, source, options.sha256),
                length=source.stat.size,
                content_settings=settings,
                metadata={name.replace("-", "_"): value for name, value in metadata.items()},
                read_timeout=self.client.options.write_timeout_seconds,
                **condition,
            )

        def write() -> FileStat:
            try:
                answer = self._call(path, upload)
            except VersionChanged as error:
                changed = f"{self.label}/{path} is no longer the version {options.if_validator!r}"
                raise PublishConflict(changed) from error
            return stat_of_object(
                path,
                size=source.stat.size,
                modified=answer.get("last_modified"),
                validator=_validator(answer.get("etag")),
                coding=options.content_encoding,
                metadata=metadata,
            )

        return written(write, lambda: self.stat(path), options)

    def delete(self, path: str) -> None:
        key = self._keys.key(path)
        with suppress(AssetNotFound):
            self._call(path, lambda c: c.get_blob_client(key).delete_blob())

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()

    def _first(self, path: str, start: int, stop: int, validator: str | None) -> tuple[FileStat, bytes]:
        """The facts, and the bytes from *start*, in one request."""
        try:
            return self._get(path, start, stop, validator)
        except RangeNotSatisfiable as error:
            stat = self._pinned(self.stat(path), validator)
            if stat.size:
                raise RangeNotSatisfiable(str(error), path=path, size=stat.size) from error
            return stat, b""

    def _get(self, path: str, start: int, stop: int, validator: str | None) -> tuple[FileStat, bytes]:
        key = self._keys.key(path)
        pinned: dict[str, Any] = {"decompress": False}  # else a blob that is stored as gzip arrives decoded
        if validator is not None:
            pinned |= {"etag": f'"{validator}"', "match_condition": MatchConditions.IfNotModified}

        def get(container: ContainerClient) -> tuple[BlobProperties, bytes]:
            found = container.get_blob_client(key).download_blob(start, stop - start, max_concurrency=1, **pinned)
            return found.properties, found.readall()

        properties, content = self._call(path, get)
        whole = (properties.content_range or "").rpartition("/")[2]
        if whole.isdecimal():  # the client reports the size of the range that was asked for
            properties.size = int(whole)
        return self._stat_of(path, properties), content

    def _pinned(self, stat: FileStat, validator: str | None) -> FileStat:
        if validator not in {None, stat.validator}:
            raise VersionChanged(f"{stat.path!r} is no longer the version {validator!r}", path=stat.path)
        return stat

    def _stat_of(self, path: str, blob: BlobProperties) -> FileStat:
        if _is_folder(blob):
            raise AssetNotFound(path, self.label)
        return stat_of_object(
            path,
            size=int(blob.size),
            modified=blob.last_modified,
            validator=_validator(blob.etag),
            coding=blob.content_settings.content_encoding,
            metadata={name.lower().replace("_", "-"): value for name, value in (blob.metadata or {}).items()},
        )

    def _call(self, path: str, operation: Callable[[ContainerClient], T]) -> T:
        """What *operation* returns; the client's faults become ours, and those that may pass are tried again."""
        return retried(
            lambda: operation(self.client.container()),
            self._attempts,
            lambda error: translate(error, path, self.label),
        )


def _validator(etag: str | None) -> str | None:
    """A blob's ETag without quotes, which a listing has none of."""
    return etag.strip('"') or None if etag else None


def _is_folder(blob: BlobProperties) -> bool:
    """Whether *blob* is a folder of a hierarchical namespace, which is listed as an empty blob."""
    return (blob.metadata or {}).get("hdi_isfolder", "").lower() == "true"


def open_url(url: str, storage_options: Mapping[str, Any]) -> AzureBackend:
    """The backend of ``az://container/prefix`` or ``abfs://container@account.dfs.core.windows.net/prefix``.

    Raises:
        SettingsError: it names no container or no account, or an option is unknown or impossible.
    """
    bucket, prefix = split_url(url, "az://container or az://container/prefix")
    container, _, host = bucket.partition("@")
    options = dict(storage_options)
    if account := _ACCOUNT.fullmatch(host):
        options.setdefault("account_name", account[1])
    return AzureBackend(container, prefix, AzureOptions.of(options))
