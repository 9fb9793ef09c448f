"""The same answers from a bucket of every kind: conditions, ranges, codings, what is missing, what a publish recorded."""

from __future__ import annotations

import dataclasses
import gzip
import time
from collections.abc import Iterator, Mapping
from functools import partial

import pytest

import storages
from asgi.client import Reply, ask
from asgi.matrix import MATRIX, fill
from asgi.tree import DATA, STYLE, Ask
from assetstore import AssetStore
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.backends.reader import reader_of
from assetstore.http.handler import AssetHandler
from assetstore.names import fingerprint

FILES = {"data.bin": DATA, "css/app.css": STYLE, "empty.txt": b""}
BUCKETS = [
    pytest.param(storages.s3_over_a_socket, id="S3"),
    pytest.param(partial(storages.s3_over_a_socket, reader="threads"), id="S3 by boto3 in threads"),
    pytest.param(
        partial(storages.s3_over_a_socket, server="localstack"), id="S3 on LocalStack", marks=pytest.mark.localstack
    ),
    pytest.param(partial(storages.s3_over_a_socket, server="swift"), id="S3 on Swift"),
    pytest.param(storages.gcs, id="GCS"),
    pytest.param(storages.azure, id="Azure"),
]


@pytest.fixture(scope="module", params=BUCKETS)
def backend(request: pytest.FixtureRequest) -> Iterator[WritableBackend]:
    with request.param(FILES, request) as storage:
        time.sleep(2.1)  # a date is a strong validator only once its second is over, and Swift rounds up
        yield storage.backend


@pytest.fixture(scope="module")
def handlers(backend: WritableBackend) -> dict[str, AssetHandler]:
    mount = AssetStore().static("/assets/", root=backend, name="assets")
    bare = dataclasses.replace(mount, reader=reader_of(mount.backend))
    return {"as wired": AssetHandler(mount), "without a cache": AssetHandler(bare)}


@pytest.fixture(params=["as wired", "without a cache"])
def bucket(request: pytest.FixtureRequest, handlers: dict[str, AssetHandler]) -> Ask:
    def once(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        return ask(handlers[request.param], path, method, headers)

    return once


def write(backend: WritableBackend, path: str, content: bytes, coding: str | None = None, **metadata: str) -> None:
    options = WriteOptions(
        "text/css", "no-cache", coding, metadata={k.replace("_", "-"): v for k, v in metadata.items()}
    )
    backend.write(path, BytesFile.of(path, content), options)


@pytest.mark.parametrize(("headers", "status", "body"), MATRIX)
def test_conditions_and_ranges(bucket: Ask, headers: dict[str, str], status: int, body: bytes | None) -> None:
    reply = bucket("data.bin", headers=fill(headers, bucket("data.bin")))
    assert reply.status == status
    assert body is None or reply.body == body


def test_the_tag_is_the_buckets_own_or_its_checksum_and_strong(bucket: Ask) -> None:
    assert bucket("data.bin").headers["etag"].startswith('"')


def test_codings_and_head(bucket: Ask) -> None:
    whole = bucket("css/app.css", headers={"Accept-Encoding": "br"})
    assert (whole.headers["content-encoding"], whole.headers["vary"]) == ("br", "Accept-Encoding")
    head = bucket("css/app.css", "HEAD", {"Accept-Encoding": "br"})
    without = {"cache-status"}
    assert {name: value for name, value in head.headers.items() if name not in without} == {
        name: value for name, value in whole.headers.items() if name not in without
    }


def test_an_empty_object(bucket: Ask) -> None:
    assert bucket("empty.txt").body == b""
    assert bucket("empty.txt", headers={"Range": "bytes=0-"}).headers["content-range"] == "bytes */0"


@pytest.mark.parametrize("path", ["gone.css", fingerprint.add("gone.css", "0" * 64), "css", "css/"])
def test_what_is_missing_is_a_404(bucket: Ask, path: str) -> None:
    assert bucket(path).status == 404


def test_a_retained_object_that_a_publish_recorded_is_immutable(backend: WritableBackend, bucket: Ask) -> None:
    old, unknown = fingerprint.add("css/app.css", "0" * 64), fingerprint.add("css/app.css", "1" * 64)
    write(backend, old, b"old", assetstore_fingerprint="0" * 64)
    write(backend, unknown, b"whose?")
    reply = bucket(old)
    assert (reply.body, reply.headers["cache-control"]) == (b"old", "max-age=31536000, public, immutable")
    reply = bucket(unknown)
    assert (reply.body, reply.headers["cache-control"]) == (b"whose?", "max-age=0, public, must-revalidate")


def test_what_is_stored_in_a_coding_reaches_every_client(backend: WritableBackend, bucket: Ask) -> None:
    coded = gzip.compress(STYLE)
    write(backend, "coded.css", coded, "gzip")
    able = bucket("coded.css", headers={"Accept-Encoding": "gzip"})
    assert (able.body, able.headers["content-encoding"]) == (coded, "gzip")
    for headers in ({}, {"Accept-Encoding": "br"}, {"Accept-Encoding": "gzip;q=0"}):
        unable = bucket("coded.css", headers=headers)
        assert unable.body == STYLE
        assert "content-encoding" not in unable.headers
        assert unable.headers["etag"] != able.headers["etag"]
        assert unable.headers["vary"] == able.headers["vary"] == "Accept-Encoding"
    part = bucket("coded.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=5-9"})
    assert (part.status, part.body, part.headers["etag"]) == (206, STYLE[5:10], unable.headers["etag"])
    assert bucket("coded.css", "HEAD").headers["content-length"] == str(len(STYLE))
    for reply, headers in ((able, {"Accept-Encoding": "gzip"}), (unable, {})):
        assert bucket("coded.css", headers={**headers, "If-None-Match": reply.headers["etag"]}).status == 304


def test_what_says_it_is_coded_and_is_not_is_sent_as_it_is(backend: WritableBackend, bucket: Ask) -> None:
    write(backend, "broken.css", b"plain after all", "gzip")
    reply = bucket("broken.css")
    assert (reply.body, reply.headers["content-encoding"]) == (b"plain after all", "gzip")
