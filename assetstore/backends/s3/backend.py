"""A bucket through boto3: stat, ranged open, listing, conditional write, delete."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, PresignedUrl, Span, UnfinishedUpload, WriteOptions
from assetstore.backends.http import received_part, request_headers, stat_of
from assetstore.backends.objects import split_url
from assetstore.backends.ranged import Download, SyncBody, SyncRangedFile
from assetstore.backends.reader import Reader, ThreadReader
from assetstore.backends.s3.bucket import S3Bucket
from assetstore.backends.s3.client import S3Options, stats
from assetstore.backends.s3.errors import translate
from assetstore.backends.s3.upload import S3Upload
from assetstore.errors import (
    AssetNotFound,
    SettingsError,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_log = logging.getLogger("assetstore")


class S3Backend(S3Bucket):
    """The keys beneath a prefix of a bucket; writable.

    ``LastModified`` is the modified time, in whole seconds; the ETag is the validator. Whether a server has
    conditional writes and checksums is found out by the first write.
    """

    def stat(self, path: str) -> FileStat:
        key = self.key(path)
        answer = self.call(
            path, lambda s3: s3.head_object(Bucket=self.bucket, Key=key, **self.options.request_arguments)
        )
        return stat_of(path, headers_of(answer), is_s3=True)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return SyncRangedFile.open(self._fetch, path, span, validator)

    def _fetch(self, path: str, span: Span, validator: str | None) -> Download:
        """One GetObject: the metadata of the whole object, and a body that brings *span* of it."""
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key(path), **self.options.request_arguments}
        for name, value in request_headers(path, span, validator).items():
            arguments[name.replace("-", "")] = value
        answer = self.call(path, lambda s3: s3.get_object(**arguments))
        body = SyncBody(answer["Body"], lambda error: translate(error, path, self.label))
        try:
            headers = headers_of(answer)
            stat = stat_of(path, headers, is_s3=True)
            return Download(stat, received_part(headers, stat.size), body)
        except BaseException:
            body.close()
            raise

    def require_signing(self) -> None:
        """As :meth:`Presigns.require_signing`."""
        if self.options.unsigned:
            raise SettingsError(f"{self.label} is read without credentials (unsigned), so no URL of it can be signed")

    def presigned_url(
        self, path: str, *, content_type: str, cache_control: str, seconds: int, validator: str | None = None
    ) -> PresignedUrl:
        """As :meth:`Presigns.presigned_url`."""
        key, now = self.key(path), time.time()
        if (expiry := self.client.credentials_expire_at()) is not None:
            expires = (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()
            seconds = max(1, min(seconds, int(expires - now)))
        overrides = {"ResponseContentType": content_type, "ResponseCacheControl": cache_control}
        parameters = {"Bucket": self.bucket, "Key": key, **overrides, **self.options.request_arguments}
        url = self.call(path, lambda s3: s3.generate_presigned_url("get_object", parameters, ExpiresIn=seconds))
        return PresignedUrl(url, now + seconds, None if validator is None else f'"{validator}"')

    def walk(self) -> Iterator[FileStat]:
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix, **self.options.request_arguments}
        seen: set[str] = set()
        while True:
            page = self.call("", lambda s3: s3.list_objects_v2(**arguments))
            for stat in stats(page, self.prefix):
                if paths.is_clean(stat.path, hidden=self.dot_names):
                    yield stat
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken", "")
            if not token or token in seen:
                raise UnexpectedResponse(f"the listing of {self.label} is cut off, or gives one page again and again")
            seen.add(token)
            arguments["ContinuationToken"] = token

    def reader(self) -> Reader:
        """How serving reads: aiohttp over presigned URLs, else boto3 in threads."""
        if self.options.reader != "threads":
            try:
                from assetstore.backends.s3.reader import S3Reader
            except ImportError as error:
                if self.options.reader == "aiohttp":
                    wanted = f"reader='aiohttp' needs aiohttp ({error}); run: pip install 'assetstore[s3]'"
                    raise SettingsError(wanted) from error
                _log.info("%s is read by boto3 in threads: %s", self.label, error)
            else:
                return S3Reader(self, self.thread_reader())
        return self.thread_reader()

    def thread_reader(self) -> ThreadReader:
        """Reads through boto3, in threads."""
        # Not more threads than pooled connections: boto3 closes surplus connections after each use.
        return ThreadReader(self, max_threads=self.options.max_connections)

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        return S3Upload(self, path, options).send(source)

    def _delete(self, client: S3Client, key: str) -> None:
        client.delete_object(Bucket=self.bucket, Key=key)

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """The multipart uploads below the prefix that were neither completed nor aborted."""
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix}
        while True:
            page = self.call("", lambda s3: s3.list_multipart_uploads(**arguments))
            for each in page.get("Uploads", ()):
                started = int(each["Initiated"].timestamp() * 1e9)
                yield UnfinishedUpload(each["Key"].removeprefix(self.prefix), 0, started, each["UploadId"])
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return
            arguments["KeyMarker"] = page["NextKeyMarker"]
            arguments["UploadIdMarker"] = page.get("NextUploadIdMarker", "")

    def remove_unfinished(self, upload: UnfinishedUpload) -> None:
        """Abort a multipart upload, whose parts are billed until then."""
        key = self.prefix + upload.path
        with suppress(AssetNotFound):
            self.call(
                upload.path,
                lambda s3: s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload.id),
            )


def headers_of(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """The headers of a response of boto3, by lower-case name."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


#: The ARN of an access point, which stands where a bucket's name does; a slash in it is no end of the name.
_ARN = re.compile(
    r"arn:aws[\w-]*:s3[\w-]*:[\w-]*:\d*:(?:accesspoint|outpost)[/:][\w.-]+(?:[/:]accesspoint[/:][\w.-]+)?(?=/|$)"
)


def open_url(url: str, storage_options: Mapping[str, Any]) -> S3Backend:
    """The backend of an ``s3://bucket/prefix`` URL.

    Raises:
        SettingsError: it names no bucket, or an option is unknown or impossible.
    """
    rest = url.partition("://")[2]
    if arn := _ARN.match(rest):
        bucket, prefix = arn[0], rest[arn.end() :].lstrip("/")
    else:
        bucket, prefix = split_url(url, "s3://bucket or s3://bucket/prefix")
    if bucket.startswith("arn:") and arn is None:
        raise SettingsError(
            f"root {url!r} names no access point; write s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/prefix"
        )
    backend = S3Backend(bucket, prefix, S3Options.of(storage_options))
    backend.client.check()
    return backend
