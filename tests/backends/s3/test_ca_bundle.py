"""A CA bundle that boto3 would use is used by the asynchronous reader and by direct requests too."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assetstore.backends.base import BytesFile, WriteOptions
from assetstore.backends.reader import reader_of
from assetstore.backends.s3.backend import open_url
from assetstore.errors import BackendUnavailable

pytestmark = pytest.mark.anyio
KEYS = {"key": "AKIDEXAMPLE", "secret": "not-so-secret", "region": "eu-west-1", "reader": "aiohttp", "attempts": 1}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "4")
        self.end_headers()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"2"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "bucket.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return pem


@pytest.fixture
def endpoint(certificate: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["AWS_CA_BUNDLE", "profile", "verify"])
def options(
    request: pytest.FixtureRequest, endpoint: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Storage options, with the bundle named in one of the ways that boto3 knows."""
    options: dict[str, Any] = {**KEYS, "endpoint_url": endpoint}
    if request.param == "AWS_CA_BUNDLE":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    elif request.param == "profile":
        (tmp_path / "config").write_text(f"[profile mine]\nca_bundle = {certificate}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        options["profile"] = "mine"
    else:
        options["verify"] = str(certificate)
    return options


async def test_a_ca_bundle_is_honoured_by_reads(options: dict[str, Any]) -> None:
    async with contextlib.aclosing(reader_of(open_url("s3://bucket", options))) as reader:
        assert (await reader.stat("a.css")).size == 4


def test_a_ca_bundle_is_honoured_by_writes(options: dict[str, Any]) -> None:
    backend = open_url("s3://bucket", options)
    written = backend.write("a.css", BytesFile.of("a.css", b"a{}"), WriteOptions("text/css", "no-store"))
    assert written.validator == "2"
    backend.client.close()


async def test_without_it_the_certificate_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    async with contextlib.aclosing(reader_of(open_url("s3://bucket", {**KEYS, "endpoint_url": endpoint}))) as reader:
        with pytest.raises(BackendUnavailable, match="certificate"):
            await reader.stat("a.css")
