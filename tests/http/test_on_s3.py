"""The same answers from a bucket, and what they cost in requests to it."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import time
from collections.abc import Iterator, Mapping

import pytest

from asgi.client import Reply, ask
from asgi.matrix import MATRIX, fill
from asgi.tree import DATA, STYLE, Ask
from assetstore import AssetStore
from assetstore.backends.reader import reader_of
from assetstore.http.handler import AssetHandler
from assetstore.mounts.mount import Mount
from assetstore.names import fingerprint
from servers.fault_proxy import FaultProxy
from servers.s3 import S3Bucket, S3Server, bucket_on


@pytest.fixture(scope="module")
def stored(moto_server: S3Server) -> Iterator[S3Bucket]:
    with bucket_on(moto_server) as bucket:
        bucket.put({"data.bin": DATA, "css/app.css": STYLE, "empty.txt": b""})
        time.sleep(1.1)  # a date is a strong validator only once its second is over
        yield bucket


@pytest.fixture(scope="module")
def behind(stored: S3Bucket) -> Iterator[FaultProxy]:
    """What stands before the bucket and notes every request to it."""
    with contextlib.closing(FaultProxy(stored.server.endpoint_url)) as proxy:
        yield proxy


def wired(bucket: S3Bucket, proxy: FaultProxy, name: str) -> Mount:
    options = {**bucket.server.options, "endpoint_url": proxy.url}
    return AssetStore().static("/assets/", root=bucket.url, name=name, storage_options=options)


@pytest.fixture(scope="module")
def handlers(stored: S3Bucket, behind: FaultProxy) -> dict[str, AssetHandler]:
    mount = wired(stored, behind, "assets")
    bare = dataclasses.replace(mount, reader=reader_of(mount.backend))
    return {"as wired": AssetHandler(mount), "without a cache": AssetHandler(bare)}


@pytest.fixture(params=["as wired", "without a cache"])
def bucket(request: pytest.FixtureRequest, handlers: dict[str, AssetHandler], behind: FaultProxy) -> Ask:
    def once(path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        behind.requests.clear()
        return ask(handlers[request.param], path, method, headers)

    return once


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def sent(behind: FaultProxy) -> list[str]:
    """The requests that reached the bucket, as method and range; listings are the index's."""
    return [
        f"{each.method} {lower(each.headers).get('range', '')}".strip()
        for each in behind.requests
        if "list-type" not in each.target
    ]


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


def test_a_retained_object_that_a_publish_recorded_is_immutable(stored: S3Bucket, bucket: Ask) -> None:
    old, unknown = fingerprint.add("css/app.css", "0" * 64), fingerprint.add("css/app.css", "1" * 64)
    stored.put({old: b"old"}, Metadata={"assetstore-fingerprint": "0" * 64})
    stored.put({unknown: b"whose?"})
    reply = bucket(old)
    assert (reply.body, reply.headers["cache-control"]) == (b"old", "max-age=31536000, public, immutable")
    reply = bucket(unknown)
    assert (reply.body, reply.headers["cache-control"]) == (b"whose?", "max-age=0, public, must-revalidate")


def test_what_is_stored_in_a_coding_reaches_every_client(stored: S3Bucket, bucket: Ask) -> None:
    coded = gzip.compress(STYLE)
    stored.put({"coded.css": coded}, ContentEncoding="gzip")
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


def test_what_says_it_is_coded_and_is_not_is_sent_as_it_is(stored: S3Bucket, bucket: Ask) -> None:
    stored.put({"broken.css": b"plain after all"}, ContentEncoding="gzip")
    reply = bucket("broken.css")
    assert (reply.body, reply.headers["content-encoding"]) == (b"plain after all", "gzip")


@pytest.mark.parametrize("bucket", ["without a cache"], indirect=True)
@pytest.mark.parametrize(
    ("headers", "requests"),
    [
        pytest.param({}, ["GET"], id="a file is one request"),
        pytest.param({"Range": "bytes=5-9"}, ["GET bytes=5-9"], id="a range is one ranged request"),
        pytest.param({"Range": "bytes=-5"}, ["GET bytes=-5"], id="the end too"),
        pytest.param({"If-None-Match": "*"}, ["HEAD"], id="a 304 fetches no byte"),
    ],
)
def test_what_an_answer_costs(bucket: Ask, behind: FaultProxy, headers: dict[str, str], requests: list[str]) -> None:
    assert bucket("data.bin", headers=headers).status in {200, 206, 304}
    assert sent(behind) == requests


@pytest.mark.parametrize("bucket", ["without a cache"], indirect=True)
def test_further_parts_are_of_the_version_that_was_opened(bucket: Ask, behind: FaultProxy) -> None:
    reply = bucket("data.bin", headers={"Range": "bytes=0-9,9000-9009"})
    assert reply.status == 206
    assert DATA[:10] in reply.body
    assert DATA[9000:9010] in reply.body
    assert all("if-match" in lower(each.headers) for each in behind.requests[1:] if each.method == "GET")


def test_a_hot_file_costs_the_bucket_nothing(stored: S3Bucket, behind: FaultProxy) -> None:
    handler = AssetHandler(wired(stored, behind, "hot"))
    assert ask(handler, "data.bin").body == DATA
    behind.requests.clear()
    for headers in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
        assert ask(handler, "data.bin", headers=headers).status < 400
    assert sent(behind) == []
