"""An Azure Blob Storage container: stat, ranged open, listing, conditional write, delete.

The ETag of a blob is its validator (Blob service REST API, "Specifying conditional headers").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core import MatchConditions
from azure.storage.blob import BlobProperties, ContainerClient, ContentSettings

from assetstore.backends.azure.client import AzureClient, AzureOptions, translate
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WriteOptions
from assetstore.backends.objects import (
    PIECE_BYTES,
    ObjectBackend,
    PieceBody,
    SourceReader,
    split_url,
    stat_of_object,
    stored_metadata,
)
from assetstore.backends.ranged import Download, SyncRangedFile
from assetstore.errors import AssetNotFound, AssetStoreError, RangeNotSatisfiable, VersionChanged

_ACCOUNT = re.compile(r"([a-z0-9]{3,24})\.(?:blob|dfs)\.core\.[a-z.]+")


class AzureBackend(ObjectBackend[ContainerClient]):
    """The blobs beneath a prefix of a container; writable.

    ``Last-Modified`` is the modified time, in whole seconds; the ETag is the validator. Names of user metadata
    must be C# identifiers there, so ``assetstore-sha256`` is stored as ``assetstore_sha256``.
    """

    SCHEME = "az"
    client: AzureClient

    def __init__(self, container: str, prefix: str = "", options: AzureOptions | None = None) -> None:
        options = options or AzureOptions()
        super().__init__(container, prefix, options, AzureClient(container, options))

    def stat(self, path: str) -> FileStat:
        key = self.key(path)
        return self._stat_of(path, self.call(path, lambda c: c.get_blob_client(key).get_blob_properties()))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return SyncRangedFile.open(self._fetch, path, span, validator)

    def walk(self) -> Iterator[FileStat]:
        token: str | None = None

        def page_at(container: ContainerClient) -> tuple[list[BlobProperties], str | None]:
            pages: Any = container.list_blobs(name_starts_with=self.prefix, include=["metadata"]).by_page(token)
            return list(next(pages, ())), pages.continuation_token

        while True:
            page, token = self.call("", page_at)
            for blob in page:
                if (path := self.path_of(blob.name)) is not None and not _is_folder(blob):
                    yield self._stat_of(path, blob)
            if not token:
                return

    def _write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        key = self.key(path)
        settings = ContentSettings(
            content_type=options.content_type,
            cache_control=options.cache_control,
            content_encoding=options.content_encoding,
            **self.stored_headers(options),  # type: ignore[arg-type]
        )
        condition: dict[str, Any] = {"overwrite": not options.create_only}
        if not options.create_only:
            condition |= _only(options.if_validator)
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

        answer = self.call(path, upload)
        return stat_of_object(
            path,
            size=source.stat.size,
            modified=answer.get("last_modified"),
            validator=_validator(answer.get("etag")),
            coding=options.content_encoding,
            metadata=metadata,
        )

    def _delete(self, client: ContainerClient, key: str) -> None:
        client.get_blob_client(key).delete_blob()

    def _fetch(self, path: str, span: Span, validator: str | None) -> Download:
        """The blob's facts and the first bytes of *span* in one request; an empty blob and a suffix need a second."""
        first = b""
        start = span.start
        try:
            if start < 0:  # only the size tells where a suffix begins
                stat = self._pinned(path, validator)
            else:
                stop = start + PIECE_BYTES if span.stop is None else max(start + 1, min(span.stop, start + PIECE_BYTES))
                stat, first = self._get(path, start, stop, validator)
        except RangeNotSatisfiable:
            stat = self._pinned(path, validator)
            if start and stat.size:
                raise RangeNotSatisfiable(f"{path!r} has only {stat.size} bytes", path=path, size=stat.size) from None
        part = span.within(stat.size)
        fetch = PieceBody(part, lambda start, stop: self._get(path, start, stop, stat.validator)[1], first)
        return Download(stat, part, fetch)

    def _get(self, path: str, start: int, stop: int, validator: str | None) -> tuple[FileStat, bytes]:
        key = self.key(path)
        pinned = {"decompress": False, **_only(validator)}  # else a blob that is stored as gzip arrives decoded

        def get(container: ContainerClient) -> tuple[BlobProperties, bytes]:
            found = container.get_blob_client(key).download_blob(start, stop - start, max_concurrency=1, **pinned)
            return found.properties, found.readall()

        properties, content = self.call(path, get)
        whole = (properties.content_range or "").rpartition("/")[2]
        if whole.isdecimal():  # the client reports the size of the range that was requested
            properties.size = int(whole)
        return self._stat_of(path, properties), content

    def _pinned(self, path: str, validator: str | None) -> FileStat:
        stat = self.stat(path)
        if validator not in {None, stat.validator}:
            raise VersionChanged(f"{path!r} is no longer the version {validator!r}", path=path)
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

    def _translate(self, error: Exception, path: str) -> AssetStoreError:
        return translate(error, path, self.label)


def _only(validator: str | None) -> dict[str, Any]:
    """The arguments of a request for that version alone."""
    return {} if validator is None else {"etag": f'"{validator}"', "match_condition": MatchConditions.IfNotModified}


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
