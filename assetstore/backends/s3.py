"""This module owns a bucket as a backend: reading, listing and deleting through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from assetstore import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, StoredHeaders
from assetstore.backends.s3_client import Client, S3Options
from assetstore.backends.s3_errors import translate
from assetstore.backends.s3_facts import range_header, stat_of
from assetstore.backends.s3_listing import stats
from assetstore.backends.s3_write import Upload
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BodyTruncated,
    RangeNotSatisfiable,
    SettingsError,
    UnsafePath,
    VersionChanged,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

#: Bytes read at a time.
CHUNK_BYTES = 256 * 1024


class S3Backend:
    """The keys beneath a prefix of a bucket; writable.

    ``LastModified`` is the modified time, in whole seconds; the ETag is the validator.
    """

    remote = True

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.client = Client(options or S3Options())
        self.label = f"s3://{bucket}/{self.prefix}".rstrip("/")

    def __repr__(self) -> str:
        return f"S3Backend({self.label!r})"

    @property
    def options(self) -> S3Options:
        return self.client.options

    def key(self, path: str) -> str:
        """The key of *path*; raises :class:`AssetNotFound` for what can be no asset."""
        try:
            return self.prefix + paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None

    def stat(self, path: str) -> FileStat:
        key = self.key(path)
        answer = self.call(path, lambda s3: s3.head_object(Bucket=self.bucket, Key=key))
        return stat_of(path, headers_of(answer))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        try:
            stat, body = self.get(path, span, validator)
        except RangeNotSatisfiable as error:
            if error.size != 0:
                raise
            span = WHOLE  # no range of an empty object can be satisfied, but all of it can
            stat, body = self.get(path, span, validator)
        if range_header(span) is None:
            span = WHOLE
        return S3File(self, stat, span.within(stat.size), body)

    def get(self, path: str, span: Span, validator: str | None) -> tuple[FileStat, Any]:
        """One GetObject: the facts of the whole object, and a body of which *span* can be read."""
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key(path)}
        if (wanted := range_header(span)) is not None:
            arguments["Range"] = wanted
        if validator is not None:
            arguments["IfMatch"] = f'"{validator}"'
        answer = self.call(path, lambda s3: s3.get_object(**arguments))
        return stat_of(path, headers_of(answer)), answer["Body"]

    def walk(self) -> Iterator[FileStat]:
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix}
        while True:
            page = self.call("", lambda s3: s3.list_objects_v2(**arguments))
            for stat in stats(page, self.prefix):
                if paths.is_clean(stat.path):
                    yield stat
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def write(
        self,
        path: str,
        source: OpenFile,
        headers: StoredHeaders,
        *,
        create_only: bool = False,
        if_validator: str | None = None,
        sha256: str | None = None,
    ) -> FileStat:
        paths.clean(path, hidden=True)
        Upload(self, path, headers, create_only=create_only, if_validator=if_validator).send(source, sha256)
        return self.stat(path)

    def delete(self, path: str) -> None:
        paths.clean(path, hidden=True)
        with suppress(AssetNotFound):
            self.call(path, lambda s3: s3.delete_object(Bucket=self.bucket, Key=self.prefix + path))

    def call(self, path: str, operation: Callable[[S3Client], T]) -> T:
        """What *operation* returns; its faults become ours. Refused credentials are renewed once."""
        try:
            return self._try(path, operation)
        except BackendCredentials:
            if not self.client.renew():
                raise
            return self._try(path, operation)

    def _try(self, path: str, operation: Callable[[S3Client], T]) -> T:
        try:
            return operation(self.client.get())
        except AssetStoreError:
            raise
        except Exception as error:
            ours = translate(error, path, self.label)
            if isinstance(ours, BackendForbidden) and self.options.forbidden_is_missing and path:
                ours = AssetNotFound(path, self.label)
            raise ours from error


class S3File:
    """One version of an object, with a body already on its way."""

    def __init__(self, backend: S3Backend, stat: FileStat, coming: tuple[int, int], body: Any) -> None:
        self.stat = stat
        self._backend = backend
        self._at, self._stop = coming
        self._body = body

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        if start >= stop:
            return
        if self._body is None or self._at != start or self._stop < stop:
            self._fetch(start, stop)
        while self._at < stop:
            try:
                chunk: bytes = self._body.read(min(CHUNK_BYTES, stop - self._at))
            except Exception as error:
                self.close()
                raise translate(error, self.stat.path, self._backend.label) from error
            if not chunk:
                self.close()
                raise BodyTruncated(f"{self.stat.path!r} ended after {self._at} bytes", path=self.stat.path)
            self._at += len(chunk)
            yield chunk

    def _fetch(self, start: int, stop: int) -> None:
        self.close()
        stat, self._body = self._backend.get(self.stat.path, Span(start, stop), self.stat.validator)
        if (stat.size, stat.validator) != (self.stat.size, self.stat.validator):
            self.close()
            raise VersionChanged(f"{self.stat.path!r} was replaced while it was read", path=self.stat.path)
        self._at, self._stop = start, stop

    def close(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            if self._at >= self._stop:
                body.read()  # its end, so that the connection goes back to the pool
            body.close()


def headers_of(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """The headers of an answer of boto3, by lower-case name."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


def open_url(url: str, storage_options: Mapping[str, Any]) -> S3Backend:
    """The backend of an ``s3://bucket/prefix`` URL.

    Raises:
        SettingsError: it names no bucket, or an option is unknown or impossible.
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not bucket:
        raise SettingsError(f"root {url!r} names no bucket; write s3://bucket or s3://bucket/prefix")
    if any(segment in {".", ".."} for segment in prefix.split("/")):
        raise SettingsError(f"root {url!r} has a '.' or '..' segment, which is part of the name in a bucket")
    backend = S3Backend(bucket, prefix, S3Options.parse(storage_options))
    backend.client.get()
    return backend
