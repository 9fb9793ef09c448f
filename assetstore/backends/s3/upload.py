"""Write an object of a bucket: in one request when small, in parts when large."""

from __future__ import annotations

import hashlib
import io
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from assetstore.backends.base import FileStat, OpenFile, WriteOptions
from assetstore.backends.http import strong
from assetstore.backends.objects import FINGERPRINT_KEY, SHA256_KEY
from assetstore.backends.s3.bucket import S3Bucket
from assetstore.backends.s3.direct import headers_of_arguments
from assetstore.backends.s3.errors import is_unsupported
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    UnexpectedResponse,
    VersionChanged,
)

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

from assetstore.util import backoff_seconds

#: Up to this size the bytes of a request are held while it is sent; more is read again.
HELD_BYTES = 1024 * 1024
#: From this size on an object goes in parts, each of which can be sent again.
PART_BYTES = 16 * 1024 * 1024
T = TypeVar("T")

#: How often a conditional write that runs into another one (409) is sent.
CONFLICT_ATTEMPTS = 6

#: Up to this size an object is written in one request if there is a condition.
CONDITIONAL_BYTES = 128 * 1024 * 1024
#: S3 takes no more parts than this.
MAX_PARTS = 10_000


class S3Upload:
    """One write of one object, checked end to end by SHA-256."""

    def __init__(self, bucket: S3Bucket, path: str, options: WriteOptions) -> None:
        self._bucket = bucket
        self._path = path
        self._options = options
        self._target: dict[str, Any] = {"Bucket": bucket.bucket, "Key": bucket.key(path)}
        #: The ETag that must be there; ``None`` for nothing at all.
        self._replaces = None if options.create_only else options.if_validator
        self._condition: dict[str, Any] = {}
        if options.create_only:
            self._condition = {"IfNoneMatch": "*"}
        elif options.if_validator is not None:
            self._condition = {"IfMatch": f'"{options.if_validator}"'}

    def send(self, source: OpenFile) -> FileStat:
        """Write the whole of *source*; what is returned is what the storage answered, without a time.

        Raises:
            PublishConflict: the name is taken, or is no longer the version that was to be replaced.
            BodyTruncated: the bytes are not those that ``options.sha256`` names, here or at the storage.
        """
        try:
            etag = self._send_patiently(source)
        except VersionChanged as error:
            raise PublishConflict(f"{self._path!r} in {self._bucket.label} exists already, or was replaced") from error
        except AssetNotFound as error:
            raise PublishConflict(f"{self._path!r} in {self._bucket.label} is gone") from error
        metadata, coding = self._options.metadata, self._options.content_encoding
        recorded = self._options.sha256 or metadata.get(SHA256_KEY)
        fingerprint = metadata.get(FINGERPRINT_KEY)
        return FileStat(
            self._path,
            source.stat.size,
            validator=strong(etag),
            sha256=recorded,
            published_fingerprint=fingerprint,
            coding=coding,
        )

    def _send_patiently(self, source: OpenFile) -> str:
        """Write; 409 (another conditional write to the key is running) is tried again, as S3 asks for."""
        for attempt in range(1, CONFLICT_ATTEMPTS + 1):
            try:
                return self._send(source) if not self._condition else self._send_if(source)
            except PublishConflict as error:
                from_server = error.__cause__ is not None or getattr(error, "status", 0) == 409
                if not from_server or attempt == CONFLICT_ATTEMPTS:
                    raise
                time.sleep(backoff_seconds(attempt, 0.2, 3.2, least=0.5))
        raise AssertionError("the last attempt returns or raises")

    def _send_if(self, source: OpenFile) -> str:
        """Write under the condition, in one step where the server may have it; else after a look.

        Only a refusal (412) proves that the server has the condition: some accept and ignore it.
        """
        if self._can() is not False:
            try:
                return self._send(source)
            except VersionChanged:
                self._learn(can=True)
                raise
            except (BackendUnavailable, UnexpectedResponse) as error:
                if not is_unsupported(error.__cause__ or error, "if-match", "if-none-match"):
                    raise
                self._learn(can=False)
        self._look_first()
        return self._send(source)

    def _can(self) -> bool | None:
        return self._bucket.conditional_creates if self._replaces is None else self._bucket.conditional_replaces

    def _learn(self, *, can: bool) -> None:
        if self._replaces is None:
            self._bucket.conditional_creates = can
        else:
            self._bucket.conditional_replaces = can

    def _send(self, source: OpenFile) -> str:
        # Whether a server honours a condition is known of PutObject only, so the release record goes in one.
        small = source.stat.size <= (CONDITIONAL_BYTES if self._condition else PART_BYTES)
        return self._put(source) if small else self._put_in_parts(source)

    def _look_first(self) -> None:
        """For servers without conditional writes: a look before the write, which two writers at once can outrun."""
        found = None
        with suppress(AssetNotFound):
            request = {**self._target, **self._bucket.options.request_arguments}
            if (direct := self._bucket.request("HEAD", self._path, headers_of_arguments(request))) is not None:
                found = strong(direct.headers.get("etag", ""))
            else:
                answer = self._bucket.call(self._path, lambda s3: s3.head_object(**request))
                found = strong(answer.get("ETag", ""))
        if found != self._replaces:
            raise PublishConflict(f"{self._path!r} in {self._bucket.label} exists already, or was replaced")
        self._condition = {}

    def _put(self, source: OpenFile) -> str:
        body = Body(source, 0, source.stat.size)
        self._check(body.sha256.hex())
        arguments = self._arguments(body.sha256.hex())
        return self._with_checksum(lambda: self._put_once(body, arguments))

    def _put_once(self, body: Body, arguments: dict[str, Any]) -> str:
        given = {**arguments, **self._condition, **self._checksum(body)}
        headers = headers_of_arguments(given)
        direct = self._bucket.request("PUT", self._path, headers, body.to_send, body.sha256.hex())
        if direct is not None:
            return direct.headers.get("etag", "")
        answer = self._bucket.call(self._path, lambda s3: s3.put_object(**self._target, **given, Body=body.to_send()))
        return answer.get("ETag", "")

    def _with_checksum(self, send: Callable[[], T]) -> T:
        """What *send* returns; a store that refuses ``x-amz-checksum-*`` gets Content-MD5 from then on."""
        try:
            return send()
        except (BackendUnavailable, UnexpectedResponse) as error:
            if self._bucket.checksums is False or not is_unsupported(error.__cause__ or error, "checksum"):
                raise
            self._bucket.checksums = False
        return send()

    def _checksum(self, body: Body) -> dict[str, Any]:
        if self._bucket.checksums is not False:
            return {"ChecksumSHA256": _base64(body.sha256)}
        return {"ContentMD5": _base64(body.md5())}

    def _put_in_parts(self, source: OpenFile) -> str:
        return self._with_checksum(lambda: self._put_in_parts_once(source))

    def _put_in_parts_once(self, source: OpenFile) -> str:
        arguments = self._arguments(self._options.sha256)
        if self._bucket.checksums is not False:
            arguments["ChecksumAlgorithm"] = "SHA256"
        begun = self._bucket.call(self._path, lambda s3: s3.create_multipart_upload(**self._target, **arguments))
        upload = {**self._target, "UploadId": begun["UploadId"], **self._bucket.options.request_arguments}
        try:
            parts = self._send_parts(source, upload)
            answer = self._bucket.call(
                self._path,
                lambda s3: s3.complete_multipart_upload(**upload, **self._condition, MultipartUpload={"Parts": parts}),
            )
        except BaseException:
            with suppress(AssetStoreError):  # the first error is the one to raise
                self._bucket.call(self._path, lambda s3: s3.abort_multipart_upload(**upload))
            raise
        return answer.get("ETag", "")

    def _send_parts(self, source: OpenFile, upload: dict[str, Any]) -> list[Any]:
        digest, size = hashlib.sha256(), source.stat.size
        length = max(PART_BYTES, -(-size // MAX_PARTS))
        parts: list[Any] = []
        for number, start in enumerate(range(0, size, length), start=1):
            part = Body(source, start, min(start + length, size), whole=digest)
            checksum = self._checksum(part)
            arguments = {**upload, "PartNumber": number, **checksum}
            answer = self._bucket.call(
                self._path,
                lambda s3, given=arguments, body=part: s3.upload_part(**given, Body=body.to_send()),  # type: ignore[misc]
            )
            checksum.pop("ContentMD5", None)
            parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
        self._check(digest.hexdigest())
        return parts

    def _arguments(self, sha256: str | None) -> dict[str, Any]:
        options = self._options
        metadata = dict(options.metadata)
        if sha256 is not None:
            metadata.setdefault(SHA256_KEY, sha256)
        arguments = {"ContentType": options.content_type, "CacheControl": options.cache_control, "Metadata": metadata}
        if options.content_encoding is not None:
            arguments["ContentEncoding"] = options.content_encoding
        given = {
            **arguments,
            **self._bucket.stored_headers(options),
            **self._bucket.options.request_arguments,
            **self._bucket.options.put_arguments,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _check(self, digest: str) -> None:
        if self._options.sha256 not in {None, digest}:
            wanted = self._options.sha256
            raise BodyTruncated(f"the bytes of {self._path!r} are not those of SHA-256 {wanted}", path=self._path)


class Body:
    """Bytes *start* to *stop* of an opened file, with their digest.

    Short ones are held; long ones are read twice, so that 16 uploads at once take no more than a few MB.

    Raises:
        BodyTruncated: the file ended early.
    """

    def __init__(self, source: OpenFile, start: int, stop: int, whole: Hash | None = None) -> None:
        self._source, self._start, self._stop = source, start, stop
        self._data: bytes | None = None
        if stop - start <= HELD_BYTES:
            self._data = b"".join(source.chunks(start, stop))
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks():
            digest.update(chunk)
            size += len(chunk)
            if whole is not None:
                whole.update(chunk)
        if size != stop - start:
            path = source.stat.path
            raise BodyTruncated(f"{path!r} came with {start + size} bytes of {source.stat.size}", path=path)
        self.sha256 = digest.digest()

    def md5(self) -> bytes:
        """Its MD5, which some stores want in place of SHA-256."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self._chunks():
            digest.update(chunk)
        return digest.digest()

    def to_send(self) -> bytes | io.BufferedReader:
        """What an HTTP client takes as the body of one request: bytes, or a file that can be rewound."""
        if self._data is not None:
            return self._data
        return io.BufferedReader(_Reader(self._source, self._start, self._stop), 256 * 1024)

    def _chunks(self) -> Iterator[bytes]:
        return iter([self._data]) if self._data is not None else self._source.chunks(self._start, self._stop)


class _Reader(io.RawIOBase):
    """A part of an :class:`OpenFile` as a file object."""

    def __init__(self, source: OpenFile, start: int, stop: int) -> None:
        self._source, self._start, self._stop = source, start, stop
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._stop - self._start
        base = {io.SEEK_SET: 0, io.SEEK_CUR: getattr(self, "_position", 0), io.SEEK_END: size}[whence]
        self._position = max(0, min(size, base + offset))
        self._chunks = self._source.chunks(self._start + self._position, self._stop)
        self._rest = b""
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._chunks, b"")
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
