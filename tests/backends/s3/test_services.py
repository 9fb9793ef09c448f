"""S3-compatible services: what differs is set, recognized, and survives a stand-in that misbehaves like them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from assetstore import AssetStore
from assetstore.backends.base import BytesFile, WriteOptions, read_bytes
from assetstore.backends.reader import reader_of
from assetstore.backends.s3.backend import S3Backend, open_url
from assetstore.backends.s3.client import SERVICES, S3Options
from assetstore.backends.s3.presign import Presigner
from assetstore.errors import PublishConflict, SettingsError
from servers.s3 import S3Bucket

KEYS = {"key": "AKIDEXAMPLE", "secret": "not-so-secret"}


@pytest.mark.parametrize(
    ("options", "url", "region"),
    [
        ({"service": "r2", "account": "abc123"}, "https://abc123.r2.cloudflarestorage.com/assets/a.css", "auto"),
        (
            {"service": "b2", "region": "us-west-004"},
            "https://s3.us-west-004.backblazeb2.com/assets/a.css",
            "us-west-004",
        ),
        (
            {"service": "wasabi", "region": "eu-central-1"},
            "https://s3.eu-central-1.wasabisys.com/assets/a.css",
            "eu-central-1",
        ),
        ({"service": "digitalocean", "region": "fra1"}, "https://assets.fra1.digitaloceanspaces.com/a.css", "fra1"),
        ({"service": "tigris"}, "https://assets.t3.storage.dev/a.css", "auto"),
        ({"service": "minio", "endpoint_url": "http://minio:9000"}, "http://minio:9000/assets/a.css", "us-east-1"),
        (
            {"service": "ceph", "endpoint_url": "https://rgw.example.com"},
            "https://rgw.example.com/assets/a.css",
            "us-east-1",
        ),
        (
            {"endpoint_url": "https://abc.r2.cloudflarestorage.com"},
            "https://abc.r2.cloudflarestorage.com/assets/a.css",
            "auto",
        ),
        (
            {"endpoint_url": "https://s3.us-west-004.backblazeb2.com"},
            "https://s3.us-west-004.backblazeb2.com/assets/a.css",
            "us-west-004",
        ),
        (
            {"endpoint_url": "https://fra1.digitaloceanspaces.com"},
            "https://assets.fra1.digitaloceanspaces.com/a.css",
            "fra1",
        ),
        (
            {"endpoint_url": "https://s3.eu-west-1.amazonaws.com"},
            "https://s3.eu-west-1.amazonaws.com/assets/a.css",
            "eu-west-1",
        ),
        ({"endpoint_url": "https://s3.example.com"}, "https://s3.example.com/assets/a.css", "us-east-1"),
    ],
    ids=lambda value: value.get("service", value.get("endpoint_url")) if isinstance(value, Mapping) else "",
)
def test_urls_are_those_of_the_service_and_signed_for_its_region(
    options: dict[str, Any], url: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    backend = open_url("s3://assets", {**KEYS, **options})
    signed = urlsplit(Presigner(backend.client, "assets").url("GET", "a.css"))
    assert f"{signed.scheme}://{signed.netloc}{signed.path}" == url
    assert parse_qs(signed.query)["X-Amz-Credential"][0].split("/")[2] == region


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"service": "r2"}, "'r2' need 'account'"),
        ({"service": "b2"}, "'b2' need 'region_name'"),
        ({"service": "s4"}, "the services are: aws, r2, b2, wasabi, digitalocean, tigris, minio, ceph"),
    ],
)
def test_what_a_service_needs_is_said_at_wiring(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        S3Options.of({**KEYS, **options})


def test_what_is_given_wins() -> None:
    given = S3Options.of({**KEYS, "service": "tigris", "region": "fra", "addressing_style": "path"})
    assert (given.region_name, given.addressing_style) == ("fra", "path")


@dataclass
class Quirks:
    """How a service differs from AWS, as its users reported it."""

    #: Request headers, of which a part of the name is refused with status and code.
    refuses: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    #: Request headers that are ignored.
    ignores: tuple[str, ...] = ()
    #: Response headers that are never sent.
    hides: tuple[str, ...] = ()
    #: Requests for another region are refused.
    region: str | None = None


QUIRKS = {
    "r2": Quirks(region="auto"),
    "b2": Quirks(
        refuses={
            "x-amz-checksum-": (400, "InvalidArgument"),
            "if-none-match": (501, "NotImplemented"),
            "if-match": (501, "NotImplemented"),
        },
        region="us-west-004",
    ),
    "wasabi": Quirks(ignores=("if-none-match",), refuses={"if-match": (501, "NotImplemented")}, region="eu-central-1"),
    "digitalocean": Quirks(ignores=("if-none-match", "if-match"), hides=("x-amz-checksum-sha256",), region="fra1"),
    "tigris": Quirks(hides=("x-amz-checksum-sha256",), region="auto"),
    "minio": Quirks(),
    "ceph": Quirks(ignores=("if-none-match", "if-match", "x-amz-checksum-sha256"), hides=("x-amz-checksum-sha256",)),
}


class _StandIn(BaseHTTPRequestHandler):
    """moto, with the quirks of another service."""

    protocol_version = "HTTP/1.1"
    quirks: Quirks
    upstream: str

    def log_message(self, format: str, *args: Any) -> None: ...

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        scope = parse_qs(urlsplit(self.path).query).get("X-Amz-Credential", [headers.get("authorization", "")])[0]
        region = scope.partition("/20")[2].split("/")[1:2]
        if self.quirks.region is not None and region != [self.quirks.region]:
            return self._refuse(403, "SignatureDoesNotMatch", f"the region is {self.quirks.region}")
        if self.command == "PUT":
            for part, (status, code) in self.quirks.refuses.items():
                if found := [name for name in headers if part in name]:
                    return self._refuse(status, code, f"Unsupported header '{found[0]}' received for this API call.")
        kept = {name: value for name, value in headers.items() if name not in self.quirks.ignores}
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, {**kept, "accept-encoding": "identity"})
            response = connection.getresponse()
            data = response.read()
            self._answer(response.status, dict(response.getheaders()), data)
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

    def _refuse(self, status: int, code: str, message: str) -> None:
        page = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self._answer(status, {"Content-Type": "application/xml"}, page)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        gone = {"content-length", "transfer-encoding", "connection", *self.quirks.hides}
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
        for name, value in headers.items():
            if name.lower() not in gone:
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def stand_in(quirks: Quirks, upstream: str) -> Iterator[str]:
    handler = type("StandIn", (_StandIn,), {"quirks": quirks, "upstream": urlsplit(upstream).netloc})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def quirks_of(request: pytest.FixtureRequest) -> Quirks:
    return QUIRKS[request.node.callspec.params["opened"]]


@pytest.fixture(params=sorted(QUIRKS))
def opened(request: pytest.FixtureRequest, moto_bucket: S3Bucket) -> Iterator[Callable[[str], S3Backend]]:
    """``opened(prefix)`` is a backend on a stand-in for the service."""
    quirks, server = QUIRKS[request.param], moto_bucket.server
    assert request.param in SERVICES
    with stand_in(quirks, server.endpoint_url) as url:

        def make(prefix: str = "pre") -> S3Backend:
            options = {
                "service": request.param,
                "endpoint_url": url,
                "key": server.access_key,
                "secret": server.secret_key,
                "region": None if quirks.region == "auto" else quirks.region,
            }
            return open_url(f"s3://{moto_bucket.name}/{prefix}", options)

        yield make


def test_it_is_written_read_and_published_to(
    opened: Callable[[str], S3Backend], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = opened("pre")
    options = WriteOptions("text/css", "no-cache", sha256=None)
    backend.write("a.css", BytesFile.of("a.css", b"body"), options)
    assert read_bytes(backend, "a.css") == b"body"
    assert [stat.path for stat in backend.walk()] == ["a.css"]
    other = BytesFile.of("a.css", b"other")
    # One that ignores conditions is found out by what a publish tries, see tests/publish.
    if quirks_of(request).ignores == ():
        with pytest.raises(PublishConflict):
            backend.write("a.css", other, WriteOptions("text/css", "no-cache", create_only=True))
        assert read_bytes(backend, "a.css") == b"body"
    (tmp_path / "app.js").write_text("one")
    store = AssetStore()
    store.static("/assets/", root=tmp_path, name="assets", fingerprint="content")
    first = store.publish(opened("site"))[0]
    (tmp_path / "app.js").write_text("two")
    second = store.publish(opened("site"))[0]
    assert first.released
    assert second.released
    assert not store.publish(opened("site"))[0].released


@pytest.mark.anyio
async def test_serving_reads_it(opened: Callable[[str], S3Backend], moto_bucket: S3Bucket) -> None:
    moto_bucket.put({"pre/a.css": b"body" * 100})
    reader = reader_of(opened("pre"))
    try:
        file = await reader.open("a.css")
        assert b"".join([chunk async for chunk in file.chunks(0, 400)]) == b"body" * 100
        await file.aclose()
        assert (await reader.stat("a.css")).size == 400
    finally:
        await reader.aclose()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
