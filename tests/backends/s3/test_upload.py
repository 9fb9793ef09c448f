"""What is written to a bucket is whole, has its headers, and is written under the condition that was set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from assetstore.backends.base import FileStat, WriteOptions, read_bytes
from assetstore.backends.s3.backend import S3Backend
from assetstore.backends.s3.upload import PART_BYTES
from assetstore.errors import AssetNotFound, BodyTruncated, PublishConflict
from servers.s3 import S3Bucket

OPTIONS = WriteOptions(
    "text/css; charset=utf-8",
    "max-age=31536000, public, immutable",
    content_encoding="br",
    extra={"Content-Disposition": "inline", "X-Else": "cannot be stored"},
    metadata={"assetstore-fingerprint": "cd" * 32},
)


class Source:
    """A file to write."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self._data = data
        self.stat = FileStat("source", len(data) if size is None else size)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        yield self._data[start:stop]

    def close(self) -> None: ...


def test_what_is_written_is_stored_with_its_headers_and_facts(bucket_backend: S3Backend, moto_bucket: S3Bucket) -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    stat = bucket_backend.write("a.css", Source(b"body"), replace(OPTIONS, sha256=digest))
    assert (stat.sha256, stat.published_fingerprint, stat.coding, stat.size) == (digest, "cd" * 32, "br", 4)
    stored = moto_bucket.client.head_object(Bucket=moto_bucket.name, Key="pre/a.css")
    assert stored["CacheControl"] == "max-age=31536000, public, immutable"
    assert (stored["ContentType"], stored["ContentDisposition"]) == ("text/css; charset=utf-8", "inline")


@pytest.mark.parametrize("size", [3, PART_BYTES + 5], ids=["small", "in parts"])
def test_wrong_bytes_are_never_stored(bucket_backend: S3Backend, moto_bucket: S3Bucket, size: int) -> None:
    with pytest.raises(BodyTruncated, match="SHA-256"):
        bucket_backend.write("a.bin", Source(bytes(size)), replace(OPTIONS, sha256="0" * 64))
    with pytest.raises(BodyTruncated, match="came with"):
        bucket_backend.write("a.bin", Source(bytes(size), size + 1), OPTIONS)
    with pytest.raises(AssetNotFound):
        bucket_backend.stat("a.bin")
    assert "Uploads" not in moto_bucket.client.list_multipart_uploads(Bucket=moto_bucket.name)


def test_a_large_object_goes_in_parts(bucket_backend: S3Backend, moto_bucket: S3Bucket) -> None:
    data = bytes(range(256)) * 4096 * 17  # 17 MiB
    stat = bucket_backend.write("big.bin", Source(data), replace(OPTIONS, sha256=hashlib.sha256(data).hexdigest()))
    assert stat.size == len(data)
    assert stat.validator is not None
    assert stat.validator.endswith("-2")
    assert stat.sha256 == hashlib.sha256(data).hexdigest()
    assert read_bytes(bucket_backend, "big.bin") == data


def test_a_version_is_replaced_only_if_it_is_still_there(bucket_backend: S3Backend) -> None:
    first = bucket_backend.write("pointer.json", Source(b"1"), OPTIONS)
    second = bucket_backend.write("pointer.json", Source(b"2"), replace(OPTIONS, if_validator=first.validator))
    with pytest.raises(PublishConflict):
        bucket_backend.write("pointer.json", Source(b"3"), replace(OPTIONS, if_validator=first.validator))
    assert bucket_backend.stat("pointer.json").validator == second.validator
