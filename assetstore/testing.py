"""This module owns what users test their own applications with: mounts that need no bucket and no disk.

It is a pytest plugin; name it in your ``conftest.py``::

    pytest_plugins = ["assetstore.testing"]

Each fixture gives a function that makes a place with some files in it, ready to be the ``root`` of a
mount. ``s3_mount`` speaks to a real S3 server (moto's, in this process, on a port of its own), so
what is tested is what is deployed; it needs ``pip install 'assetstore[s3]' 'moto[s3,server]'``::

    def test_the_page_shows_the_cat(s3_mount):
        assets.static("/media/", root=s3_mount({"cat.jpg": b"..."}), name="media")
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import pytest

from assetstore.assets import media_types
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions

#: Makes a place that holds these files, by logical path; text is stored as UTF-8.
MountMaker = Callable[[Mapping[str, bytes | str]], WritableBackend]

_numbers = itertools.count(1)


def put(backend: WritableBackend, files: Mapping[str, bytes | str]) -> WritableBackend:
    """Write *files* into *backend*, with their content types; gives *backend* back."""
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        options = WriteOptions(media_types.of(path), "max-age=0, public, must-revalidate")
        backend.write(path, BytesFile.of(path, data), options)
    return backend


@pytest.fixture
def memory_mount() -> Iterator[MountMaker]:
    """Makes places in memory, each empty but for its own files."""
    made: list[WritableBackend] = []

    def make(files: Mapping[str, bytes | str]) -> WritableBackend:
        url = f"memory://assetstore-testing-{next(_numbers)}"
        made.append(cast("WritableBackend", open_backend(url)))
        return put(made[-1], files)

    yield make
    for backend in made:
        empty(backend)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 server in this process; it takes any credentials."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_mount(s3_endpoint: str) -> Iterator[MountMaker]:
    """Makes buckets, each empty but for its own files; they are gone after the test."""
    made: list[WritableBackend] = []

    def make(files: Mapping[str, bytes | str]) -> WritableBackend:
        made.append(_bucket(s3_endpoint))
        return put(made[-1], files)

    yield make
    for backend in made:
        empty(backend)


def _bucket(endpoint_url: str) -> WritableBackend:
    from assetstore.backends.s3.backend import S3Backend
    from assetstore.backends.s3.client import S3Options

    name = f"assetstore-testing-{uuid.uuid4().hex[:12]}"
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    options = S3Options.of({"endpoint_url": endpoint_url, "addressing_style": "path", **credentials})
    backend = S3Backend(name, options=options)
    backend.call("", lambda client: client.create_bucket(Bucket=name))
    return backend


def empty(backend: WritableBackend) -> None:
    """Delete every file that *backend* lists."""
    for path in [stat.path for stat in backend.walk()]:
        backend.delete(path)
