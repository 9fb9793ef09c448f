"""What answers from a bucket cost in requests to it."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping

import pytest

from asgi.client import Reply, ask
from asgi.tree import DATA, STYLE, Ask
from assetstore import AssetStore
from assetstore.backends.reader import reader_of
from assetstore.http.handler import AssetHandler
from assetstore.mounts.mount import Mount
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
