"""The storages that the contract tests run on, each filled with the same files."""

from __future__ import annotations

import contextlib
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fsspec.asyn import sync

from assetstore.backends import open_backend
from assetstore.backends.base import WHOLE, Backend, FileStat, OpenFile, Span
from assetstore.backends.reader import AsyncOpenFile, Reader, reader_of
from servers.files import FileServer, SFTPServer, WebDAVServer
from servers.programs import need_package
from servers.s3 import S3Bucket, S3Server, bucket_on

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Storage:
    """A backend, and functions that change its files without going through it."""

    backend: Backend
    #: Replace the bytes of a path; ``None`` where the storage is frozen.
    put: Callable[[str, bytes], None] | None
    remove: Callable[[str], None] | None = None


def _folder(request: pytest.FixtureRequest) -> Path:
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return factory.mktemp("storage")


@contextlib.contextmanager
def local(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    root = _folder(request)

    def put(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        fresh = root / ".fresh"
        fresh.write_bytes(data)
        fresh.replace(root / path)

    for path, data in files.items():
        put(path, data)
    yield Storage(open_backend(root), put, lambda path: (root / path).unlink())


@contextlib.contextmanager
def memory(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    backend = open_backend(f"memory://{uuid.uuid4().hex}/pre")

    def put(path: str, data: bytes) -> None:
        backend._fs.pipe_file(f"{backend._root}/{path}", data)  # type: ignore[attr-defined]

    for path, data in files.items():
        put(path, data)
    yield Storage(backend, put, lambda path: backend._fs.rm_file(f"{backend._root}/{path}"))  # type: ignore[attr-defined]
    if backend._fs.exists(backend._root):  # type: ignore[attr-defined]
        backend._fs.rm(backend._root, recursive=True)  # type: ignore[attr-defined]


@contextlib.contextmanager
def zipped(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    archive = _folder(request) / "storage.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path, data in files.items():
            out.writestr(zipfile.ZipInfo(f"pre/{path}", (2024, 1, 2, 3, 4, 6)), data)
    backend = open_backend(f"zip://pre::{archive}")
    yield Storage(backend, None)
    backend._fs.close()  # type: ignore[attr-defined]
    backend._fs.of.close()  # type: ignore[attr-defined]


class _Origin(BaseHTTPRequestHandler):
    """A small HTTP origin with ETag, Last-Modified, Range and If-Match."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        data = self.files.get(unquote(self.path).removeprefix("/pre/"))
        if data is None:
            return self._answer(404, {}, b"no such file")
        etag = f'"{hash(data) & 0xFFFFFFFF:08x}"'
        headers = {"ETag": etag, "Last-Modified": "Tue, 02 Jan 2024 03:04:06 GMT"}
        if self.headers.get("If-Match", etag) != etag:
            return self._answer(412, {}, b"changed")
        if "Range" not in self.headers or self.command == "HEAD":
            return self._answer(200, headers, data)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(len(data), int(last) + 1) if first and last else len(data)
        if start >= len(data):
            return self._answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return self._answer(206, headers, data[start:stop])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)


@contextlib.contextmanager
def cdn(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    stored = dict(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Origin", (_Origin,), {"files": stored}))
    server.daemon_threads = True
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    backend = open_backend(f"http://127.0.0.1:{server.server_port}/pre/")
    yield Storage(backend, stored.__setitem__, lambda path: stored.__delitem__(path))
    backend.close()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def _in_bucket(files: Files, bucket: S3Bucket, backend: Backend) -> Iterator[Storage]:
    def put(path: str, data: bytes) -> None:
        bucket.put({f"pre/{path}": data})

    for path, data in files.items():
        put(path, data)
    yield Storage(backend, put, lambda path: bucket.client.delete_object(Bucket=bucket.name, Key=f"pre/{path}"))


@contextlib.contextmanager
def s3_in_process(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    import boto3
    from moto import mock_aws

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    name = f"in-process-{uuid.uuid4().hex[:12]}"
    mock = mock_aws()
    mock.start(reset=False)  # moto's server in a thread shares its state
    try:
        client = boto3.client("s3", **keys)  # type: ignore[call-overload]
        client.create_bucket(Bucket=name)
        backend = open_backend(f"s3://{name}/pre", keys)
        with _in_bucket(files, S3Bucket(S3Server("moto", ""), name, client), backend) as storage:
            yield storage
        backend.client.close()  # type: ignore[attr-defined]
        client.close()
    finally:
        mock.stop(remove_data=False)


@contextlib.contextmanager
def s3_over_a_socket(
    files: Files, request: pytest.FixtureRequest, *, server: str = "moto", **options: Any
) -> Iterator[Storage]:
    where: S3Server = request.getfixturevalue(f"{server}_server")
    with bucket_on(where) as bucket:
        backend = open_backend(f"s3://{bucket.name}/pre", {**where.options, **options})
        with _in_bucket(files, bucket, backend) as storage:
            yield storage
        backend.client.close()  # type: ignore[attr-defined]


class ReadThrough:
    """A backend whose stat and open go through a reader, so that readers keep the same promises."""

    def __init__(self, backend: Any, reader: Reader, portal: BlockingPortal) -> None:
        self._backend, self._reader, self._portal = backend, reader, portal
        self.label, self.remote, self.walk = backend.label, backend.remote, backend.walk

    def stat(self, path: str) -> FileStat:
        return self._portal.call(self._reader.stat, path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        opened = self._portal.call(partial(self._reader.open, path, span, validator=validator))
        return _ReadThroughFile(opened, self._portal)


class _ReadThroughFile:
    def __init__(self, opened: AsyncOpenFile, portal: BlockingPortal) -> None:
        self.stat, self._opened, self._portal = opened.stat, opened, portal

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        chunks = self._opened.chunks(start, stop)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self._portal.call(chunks.__anext__)

    def close(self) -> None:
        self._portal.call(self._opened.aclose)


@contextlib.contextmanager
def _through_a_reader(files: Files, request: pytest.FixtureRequest, **options: Any) -> Iterator[Storage]:
    with s3_over_a_socket(files, request, **options) as storage, start_blocking_portal() as portal:
        reader = reader_of(storage.backend)
        yield Storage(ReadThrough(storage.backend, reader, portal), storage.put, storage.remove)
        portal.call(reader.aclose)


@contextlib.contextmanager
def s3fs(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    from assetstore.backends.fsspec.backend import open_url

    server: S3Server = request.getfixturevalue("moto_server")
    options = {
        "key": server.access_key,
        "secret": server.secret_key,
        "client_kwargs": {"endpoint_url": server.endpoint_url, "region_name": server.region},
    }
    with bucket_on(server) as bucket:
        backend = open_url(f"s3://{bucket.name}/pre", options)
        with _in_bucket(files, bucket, backend) as storage:
            yield storage
        if backend._fs._s3 is not None:  # it connects at first use
            sync(backend._fs.loop, backend._fs._s3.close)


@contextlib.contextmanager
def gcs(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    """A bucket of fake-gcs-server."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    endpoint: str = request.getfixturevalue("gcs_endpoint")
    client = Client("testing", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    bucket = client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}")

    def put(path: str, data: bytes) -> None:
        bucket.blob(f"pre/{path}").upload_from_string(data, "text/plain")

    for path, data in files.items():
        put(path, data)
    backend = open_backend(f"gs://{bucket.name}/pre", {"token": "anon", "endpoint": endpoint})
    yield Storage(backend, put, lambda path: bucket.blob(f"pre/{path}").delete())
    backend.close()  # type: ignore[attr-defined]
    client.close()


@contextlib.contextmanager
def azure(files: Files, request: pytest.FixtureRequest) -> Iterator[Storage]:
    """A container of Azurite."""
    from azure.storage.blob import BlobServiceClient

    from servers.emulators import ACCOUNT, KEY

    url: str = request.getfixturevalue("azure_url")
    service = BlobServiceClient(url, {"account_name": ACCOUNT, "account_key": KEY})
    container = service.create_container(f"container-{uuid.uuid4().hex[:12]}")

    def put(path: str, data: bytes) -> None:
        container.upload_blob(f"pre/{path}", data, overwrite=True)

    for path, data in files.items():
        put(path, data)
    options = {"account_url": url, "account_name": ACCOUNT, "account_key": KEY}
    backend = open_backend(f"az://{container.container_name}/pre", options)
    yield Storage(backend, put, lambda path: container.delete_blob(f"pre/{path}"))
    backend.close()  # type: ignore[attr-defined]
    container.close()
    service.close()


@contextlib.contextmanager
def _file_server(
    files: Files, request: pytest.FixtureRequest, kind: type[FileServer], url: str, needs: tuple[str, ...]
) -> Iterator[Storage]:
    for package in needs:
        need_package(package)
    root = _folder(request)
    folder = root / "pre"
    folder.mkdir()

    def put(path: str, data: bytes) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    for path, data in files.items():
        put(path, data)
    with kind(root) as server:
        backend = open_backend(url, server.options)
        yield Storage(backend, put, lambda path: (folder / path).unlink())
        backend.close()  # type: ignore[attr-defined]


webdav = partial(_file_server, kind=WebDAVServer, url="webdav://pre", needs=("webdav4", "wsgidav", "cheroot"))
sftp = partial(_file_server, kind=SFTPServer, url="sftp://127.0.0.1/pre", needs=("paramiko", "asyncssh"))


_HERE = {
    "local": local,
    "memory": memory,
    "zip": zipped,
    "cdn": cdn,
    "s3 in process": s3_in_process,
    "s3 over a socket": s3_over_a_socket,
    "s3 by aiohttp": partial(_through_a_reader, reader="aiohttp"),
    "s3 by threads": partial(_through_a_reader, reader="threads"),
    "s3fs": s3fs,
    "gcs": gcs,
    "azure": azure,
    "sftp": sftp,
    "webdav": webdav,
    "s3 on Swift": partial(s3_over_a_socket, server="swift"),
    "s3 on Swift by aiohttp": partial(_through_a_reader, server="swift", reader="aiohttp"),
}
_ON_LOCALSTACK = {
    "s3 on LocalStack": partial(s3_over_a_socket, server="localstack"),
    "s3 on LocalStack by aiohttp": partial(_through_a_reader, server="localstack", reader="aiohttp"),
}

#: As parameters of a fixture.
STORAGES = [
    *(pytest.param(storage, id=name) for name, storage in _HERE.items()),
    *(pytest.param(storage, id=name, marks=pytest.mark.localstack) for name, storage in _ON_LOCALSTACK.items()),
]
