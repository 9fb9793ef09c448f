"""This module owns how an object is written: in one request when small, in parts when large."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from assetstore.backends.base import FileStat, OpenFile, WriteOptions
from assetstore.backends.http.headers import strong
from assetstore.backends.objects import FINGERPRINT_KEY, SHA256_KEY
from assetstore.backends.s3.client import Place
from assetstore.backends.s3.errors import is_not_implemented
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    VersionChanged,
)

#: From this size on an object goes in parts, so that memory holds one part and never the whole.
PART_BYTES = 16 * 1024 * 1024
#: S3 takes no more parts than this.
MAX_PARTS = 10_000

#: Response headers that S3 can store, and its names for them; it stores no others.
_STORABLE = {
    "content-disposition": "ContentDisposition",
    "content-language": "ContentLanguage",
}


class Upload:
    """One write of one object, checked end to end by SHA-256."""

    def __init__(self, place: Place, path: str, options: WriteOptions) -> None:
        self._place = place
        self._path = path
        self._options = options
        self._target: dict[str, Any] = {"Bucket": place.bucket, "Key": place.prefix + path}
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
            etag = self._send(source) if not self._condition else self._send_if(source)
        except VersionChanged as error:
            raise PublishConflict(f"{self._path!r} in {self._place.label} exists already, or was replaced") from error
        except AssetNotFound as error:
            raise PublishConflict(f"{self._path!r} in {self._place.label} is gone") from error
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

    def _send_if(self, source: OpenFile) -> str:
        """Write under the condition, in one step where the server can; it is asked only once whether it can."""
        if self._can() is not False:
            try:
                etag = self._send(source)
            except BackendUnavailable as error:
                if not is_not_implemented(error.__cause__):
                    raise
                self._learn(can=False)
            else:
                self._learn(can=True)
                return etag
        self._look_first()
        return self._send(source)

    def _can(self) -> bool | None:
        return self._place.conditional_creates if self._replaces is None else self._place.conditional_replaces

    def _learn(self, *, can: bool) -> None:
        if self._replaces is None:
            self._place.conditional_creates = can
        else:
            self._place.conditional_replaces = can

    def _send(self, source: OpenFile) -> str:
        small = source.stat.size <= PART_BYTES
        return self._put(source) if small else self._put_in_parts(source)

    def _look_first(self) -> None:
        """For servers without conditional writes: a look before the write, which two writers at once can outrun."""
        found = None
        with suppress(AssetNotFound):
            answer = self._place.call(self._path, lambda s3: s3.head_object(**self._target))
            found = strong(answer.get("ETag", ""))
        if found != self._replaces:
            raise PublishConflict(f"{self._path!r} in {self._place.label} exists already, or was replaced")
        self._condition = {}

    def _put(self, source: OpenFile) -> str:
        body = b"".join(source.chunks(0, source.stat.size))
        digest = hashlib.sha256(body)
        self._check(digest.hexdigest(), len(body), source.stat.size)
        answer = self._place.call(
            self._path,
            lambda s3: s3.put_object(
                **self._target,
                **self._condition,
                **self._arguments(digest.hexdigest()),
                Body=body,
                ChecksumSHA256=_base64(digest.digest()),
            ),
        )
        return answer.get("ETag", "")

    def _put_in_parts(self, source: OpenFile) -> str:
        arguments = self._arguments(self._options.sha256)
        begun = self._place.call(
            self._path,
            lambda s3: s3.create_multipart_upload(**self._target, **arguments, ChecksumAlgorithm="SHA256"),
        )
        upload = {**self._target, "UploadId": begun["UploadId"]}
        try:
            parts = self._send_parts(source, upload)
            answer = self._place.call(
                self._path,
                lambda s3: s3.complete_multipart_upload(**upload, **self._condition, MultipartUpload={"Parts": parts}),
            )
        except BaseException:
            with suppress(AssetStoreError):  # what went wrong first is what must be told
                self._place.call(self._path, lambda s3: s3.abort_multipart_upload(**upload))
            raise
        return answer.get("ETag", "")

    def _send_parts(self, source: OpenFile, upload: dict[str, Any]) -> list[Any]:
        digest = hashlib.sha256()
        parts: list[Any] = []
        sent = 0
        for number, part in enumerate(_parts(source), start=1):
            digest.update(part)
            sent += len(part)
            checksum = _base64(hashlib.sha256(part).digest())
            arguments = {**upload, "PartNumber": number, "Body": part, "ChecksumSHA256": checksum}
            answer = self._place.call(self._path, lambda s3, given=arguments: s3.upload_part(**given))  # type: ignore[misc]
            parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        self._check(digest.hexdigest(), sent, source.stat.size)
        return parts

    def _arguments(self, sha256: str | None) -> dict[str, Any]:
        options = self._options
        metadata = dict(options.metadata)
        if sha256 is not None:
            metadata.setdefault(SHA256_KEY, sha256)
        arguments = {"ContentType": options.content_type, "CacheControl": options.cache_control, "Metadata": metadata}
        if options.content_encoding is not None:
            arguments["ContentEncoding"] = options.content_encoding
        for name, value in options.extra.items():
            if name.lower() in _STORABLE:
                arguments[_STORABLE[name.lower()]] = value
            else:
                self._place.cannot_store(name)
        return {**arguments, **self._place.options.put_arguments}

    def _check(self, digest: str, sent: int, size: int) -> None:
        if sent != size:
            raise BodyTruncated(f"{self._path!r} came with {sent} bytes of {size}", path=self._path)
        if self._options.sha256 not in {None, digest}:
            wanted = self._options.sha256
            raise BodyTruncated(f"the bytes of {self._path!r} are not those of SHA-256 {wanted}", path=self._path)


def _parts(source: OpenFile) -> Iterator[bytes]:
    size = source.stat.size
    length = max(PART_BYTES, -(-size // MAX_PARTS))
    for start in range(0, size, length):
        yield b"".join(source.chunks(start, min(start + length, size)))


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
