"""What is written to a bucket is whole, has its headers, and is written under the condition that was set."""

from __future__ import annotations

import hashlib
import random
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import boto3
import pytest
from moto import mock_aws

from assetstore.backends.base import FileStat, WriteOptions, read_bytes
from assetstore.backends.s3.backend import S3Backend, open_url
from assetstore.backends.s3.upload import HELD_BYTES, PART_BYTES
from assetstore.errors import AssetNotFound, BodyTruncated, PublishConflict
from servers.misbehaving import MisbehavingS3
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


@pytest.mark.parametrize("size", [3, HELD_BYTES + 5, PART_BYTES + 5], ids=["held", "read twice", "in parts"])
def test_wrong_bytes_are_never_stored(bucket_backend: S3Backend, moto_bucket: S3Bucket, size: int) -> None:
    with pytest.raises(BodyTruncated, match="SHA-256"):
        bucket_backend.write("a.bin", Source(bytes(size)), replace(OPTIONS, sha256="0" * 64))
    with pytest.raises(BodyTruncated, match="came with"):
        bucket_backend.write("a.bin", Source(bytes(size), size + 1), OPTIONS)
    with pytest.raises(AssetNotFound):
        bucket_backend.stat("a.bin")
    assert "Uploads" not in moto_bucket.client.list_multipart_uploads(Bucket=moto_bucket.name)


class Drain(BaseHTTPRequestHandler):
    """A bucket that takes everything and keeps nothing."""

    protocol_version = "HTTP/1.1"
    received: ClassVar[list[int]] = []

    def log_message(self, *arguments: object) -> None: ...

    def _respond(self, body: bytes = b"") -> None:
        left = length = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.received.append(length)
        self.send_response(200)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        name = "InitiateMultipartUploadResult" if self.path.endswith("uploads") else "CompleteMultipartUploadResult"
        self._respond(f"<{name}><UploadId>1</UploadId><ETag>e</ETag></{name}>".encode())


@pytest.fixture
def drain() -> Iterator[S3Backend]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Drain)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    options = {"key": "k", "secret": "s", "region": "us-east-1", "addressing_style": "path"}
    backend = open_url("s3://bucket", {**options, "endpoint_url": f"http://127.0.0.1:{server.server_port}"})
    yield backend
    backend.client.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("create_only", [False, True], ids=["in parts", "in one request"])
def test_a_long_body_is_never_held_as_a_whole(drain: S3Backend, create_only: bool) -> None:
    size = 3 * PART_BYTES

    class Generated(Source):
        def chunks(self, start: int, stop: int) -> Iterator[bytes]:
            for at in range(start, stop, 65536):
                yield bytes(min(65536, stop - at))

    drain.write("warm.txt", Source(b"1"), OPTIONS)
    Drain.received.clear()
    tracemalloc.start()
    try:
        drain.write("big.bin", Generated(b"", size), replace(OPTIONS, create_only=create_only))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(Drain.received) == (size if create_only else PART_BYTES)
    assert sum(each for each in Drain.received if each > 65536) == size
    assert peak < 4 * 1024 * 1024


def test_a_long_body_is_sent_from_its_start_again_after_a_fault(
    misbehaving_s3: MisbehavingS3, moto_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assetstore.backends.s3.bucket.backoff_seconds", lambda *_, **__: 0.0)
    options = {**moto_bucket.server.options, "endpoint_url": misbehaving_s3.endpoint_url}
    backend = open_url(f"s3://{moto_bucket.name}/again", options)
    data = random.Random(2).randbytes(HELD_BYTES * 2)
    misbehaving_s3.lose_next("big.bin")
    backend.write("big.bin", Source(data), OPTIONS)
    assert read_bytes(backend, "big.bin") == data
    backend.client.close()


def test_a_long_body_reaches_a_mock_in_this_process() -> None:
    data = random.Random(1).randbytes(HELD_BYTES * 2)
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="mocked")
        backend = open_url("s3://mocked", {"key": "k", "secret": "s", "region": "us-east-1"})
        backend.write("big.bin", Source(data), OPTIONS)
        assert read_bytes(backend, "big.bin") == data
        backend.client.close()


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
