"""Files of a bucket that the storage sends: by a redirect, or through nginx and Caddy, with the examples' own files."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.errors import SettingsError
from servers.emulators import ACCOUNT, KEY, signing_credentials
from servers.processes import ProcessStarter
from servers.proxies import BUCKET_KINDS, open_folder, start_proxy
from servers.s3 import S3Bucket

BIG = bytes(range(256)) * 2000
NAME = "video/a b+ü&c.mp4"
FILES = {NAME: BIG, "small.css": b"body{}", "private/contract.pdf": b"secret"}
NOT_OURS = {"date", "server", "connection", "keep-alive", "via", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, target: str, method: str = "GET", **headers: str) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders() if name.lower() not in NOT_OURS}
        return Reply(reply.status, found, reply.read())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of S3, Cloud Storage or Azure with :data:`FILES` in it."""

    url: str
    options: Mapping[str, Any]

    def put(self, files: Mapping[str, bytes]) -> None:
        backend = open_backend(self.url, self.options)
        assert isinstance(backend, WritableBackend)
        for path, data in files.items():
            backend.write(path, BytesFile.of(path, data), WriteOptions("application/octet-stream", "no-cache"))


def store_of(bucket: Bucket, delivery: Any) -> AssetStore:
    store = AssetStore({})
    given: Mapping[str, Any] = {"storage_options": bucket.options, "delivery": delivery, "delivery_bytes": 100_000}
    store.static("/media/", root=bucket.url, name="media", **given)
    store.static("/private/", root=f"{bucket.url}/private", name="private", public=False, **given)
    store.refresh()
    return store


@pytest.fixture(params=["s3", "gs", "az"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    name = f"delivery-{uuid.uuid4().hex[:10]}"
    if request.param == "s3":
        made: S3Bucket = request.getfixturevalue("moto_bucket")
        found = Bucket(made.url, {key: value for key, value in made.server.options.items() if value is not None})
    elif request.param == "gs":
        endpoint = request.getfixturevalue("gcs_endpoint")
        found = Bucket(f"gs://{name}", {"endpoint": endpoint, "token": signing_credentials(), "project": "p"})
        backend: Any = open_backend(found.url, found.options)
        backend.client.get().client.create_bucket(name)
    else:
        account = {"account_url": request.getfixturevalue("azure_url"), "account_name": ACCOUNT, "account_key": KEY}
        found = Bucket(f"az://{name}", account)
        backend = open_backend(found.url, found.options)
        backend.client.get().create_container()
    found.put(FILES)
    return found


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def test_a_large_verified_file_is_redirected_to_the_storage(bucket: Bucket, serve_app: Callable[[Any], str]) -> None:
    store = store_of(bucket, "redirect")
    port = port_of(serve_app(Starlette(routes=store.routes)))
    reply = ask(port, store.url_for("media", file=NAME), Origin="https://example.org")
    assert (reply.status, reply.body) == (307, b"")
    assert reply.headers["cache-control"] == "max-age=300, public"
    assert reply.headers["access-control-allow-origin"] == "*"
    location = reply.headers["location"]
    # The URL outlives every copy of the redirect, and what is behind it is no longer the application's to verify.
    query = {name.lower(): value for name, (value,) in parse_qs(urlsplit(location).query).items()}
    if "se" in query:
        ends = datetime.fromisoformat(query["se"])
        assert (ends - datetime.now(UTC)).total_seconds() >= 2 * 300
    else:
        assert int(query.get("x-amz-expires") or query["x-goog-expires"]) >= 2 * 300
    with urlopen(location, timeout=10) as direct:
        assert direct.read() == BIG
        if "x-goog-expires" not in query:  # fake-gcs-server does not know the parameters that replace headers
            assert direct.headers["content-type"] == "video/mp4"
            assert direct.headers["cache-control"] == "max-age=0, public, must-revalidate"
    assert ask(port, store.url_for("media", file=NAME)).headers["location"] == location, "signed once"


def test_what_needs_no_bytes_or_few_or_is_not_verified_is_answered_here(
    bucket: Bucket, serve_app: Callable[[Any], str]
) -> None:
    store = store_of(bucket, "redirect")
    port = port_of(serve_app(Starlette(routes=store.routes)))
    url = store.url_for("media", file=NAME)
    head = ask(port, url, "HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(BIG)))
    assert ask(port, url, If_None_Match=head.headers["etag"]).status == 304
    assert ask(port, url, If_Match='"other"').status == 412
    assert ask(port, "/media/video/a%20b%2B%C3%BC%26c.mp4").body == BIG, "the plain name"
    assert ask(port, store.url_for("media", file="small.css")).body == b"body{}"
    assert ask(port, "/media/none.mp4").status == 404
    assert ask(port, url, Range="bytes=0-3", If_Range=head.headers["etag"]).body == BIG[:4]


def test_a_private_file_is_redirected_whatever_its_size(bucket: Bucket, serve_app: Callable[[Any], str]) -> None:
    store = store_of(bucket, "redirect")
    port = port_of(serve_app(Starlette(routes=store.routes)))
    reply = ask(port, "/private/contract.pdf")
    assert (reply.status, reply.headers["cache-control"]) == (307, "max-age=300, private")
    with urlopen(reply.headers["location"], timeout=10) as direct:
        assert direct.read() == b"secret"
        if "X-Goog-Expires" not in reply.headers["location"]:
            assert direct.headers["cache-control"] == "max-age=0, private, must-revalidate"


def test_a_local_root_is_streamed_and_what_cannot_be_signed_is_refused(tmp_path: Path) -> None:
    assert AssetStore({}).static("/a/", root=tmp_path, delivery="redirect").delivery == "stream"
    with pytest.raises(SettingsError, match="'stream', 'redirect' or 'proxy'"):
        AssetStore({}).static("/a/", root=tmp_path, delivery="nonsense")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="s3://"):
        AssetStore({}).static("/a/", root="https://example.org/", delivery="proxy")


@pytest.mark.parametrize("kind", BUCKET_KINDS)
def test_the_proxy_fetches_from_the_bucket_what_the_application_verified(
    kind: str, bucket: Bucket, serve_app: Callable[[Any], str], start_process: ProcessStarter
) -> None:
    behind, alone = store_of(bucket, "proxy"), store_of(bucket, "stream")
    app_port = port_of(serve_app(Starlette(routes=behind.routes)))
    alone_port = port_of(serve_app(Starlette(routes=alone.routes)))
    url = behind.url_for("media", file=NAME)
    told = ask(app_port, url)
    assert (told.body, told.headers["x-accel-redirect"]) == (b"", "/_bucket/"), (
        "else this test would pass without a proxy"
    )
    with open_folder() as folder:
        kept = _without_if_match if bucket.url.startswith("gs:") else str
        proxy = start_proxy(
            BUCKET_KINDS[kind], start_process, folder / kind, app_port=app_port, files=None, change=kept
        )
        for method, headers in (
            ("GET", {}),
            ("HEAD", {}),
            ("GET", {"Range": "bytes=100-199"}),
            ("GET", {"Origin": "https://example.org", "Cookie": "session=1", "Authorization": "Basic eDp5"}),
            ("GET", {"Accept_Encoding": "gzip, br"}),
        ):
            got, expected = ask(proxy.port, url, method, **headers), ask(alone_port, url, method, **headers)
            assert (got.status, got.body) == (expected.status, expected.body), (method, headers, proxy.output)
            assert comparable(got) == comparable(expected)
        whole = ask(proxy.port, url)
        assert ask(proxy.port, url, If_None_Match=whole.headers["etag"]).status == 304
        assert ask(proxy.port, "/private/contract.pdf").body == b"secret"
        assert ask(proxy.port, "/media/none.mp4").headers["cache-control"] == "no-store"
        assert ask(proxy.port, "/_bucket/").status in {404, 502}

        # Another object by now: the version that was verified is sent, or none.
        assert ask(app_port, url).headers["x-accel-redirect"]
        bucket.put({NAME: BIG[::-1]})
        changed = ask(proxy.port, url)
        assert changed.status == 502 or changed.body == BIG[::-1]
        assert "immutable" not in changed.headers.get("cache-control", "")


def _without_if_match(example: str) -> str:
    """The configuration for Cloud Storage, as the one for Caddy says: the version is in the URL."""
    return "".join(line for line in example.splitlines(keepends=True) if "If-Match" not in line or "-None-" in line)


def comparable(reply: Reply) -> dict[str, str]:
    """The headers but for the numbers of the storage's requests, and whether it says that it takes ranges."""
    theirs = ("x-amz", "x-goog", "x-ms", "x-guploader", "accept-ranges", "cache-status")
    return {name: value for name, value in reply.headers.items() if not name.startswith(theirs)}
