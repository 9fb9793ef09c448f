"""pytest fixtures for applications: mounts that need no bucket and no disk, AWS in process, a check of every name.

It is a pytest plugin; name it in your ``conftest.py``::

    pytest_plugins = ["assetstore.testing"]

Each fixture gives a function that makes a place with some files in it, ready to be the ``root`` of a
mount. ``s3_mount`` speaks to a real S3 server (moto's, in this process, on a port of its own), so
what is tested is what is deployed; it needs ``pip install 'assetstore[s3]' 'moto[s3,server]'``::

    def test_the_page_shows_the_cat(s3_mount):
        assets.static("/media/", root=s3_mount({"cat.jpg": b"..."}), name="media")

``mock_s3`` is for tests that use moto's ``mock_aws``: buckets in this process, without a server or a socket. The
application is the one of production::

    def test_the_page_shows_the_cat(mock_s3):
        mock_s3("my-bucket", {"media/cat.jpg": b"..."})
        client = TestClient(create_app())  # which mounts s3://my-bucket/media

:func:`assert_assets_exist` checks every asset that templates name, and renders none of them.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import pytest

from assetstore.assets import media_types
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.mounts.mount import MountTable
from assetstore.names.base import BackgroundResolver
from assetstore.store import AssetStore

#: Makes a place that holds these files, by logical path; text is stored as UTF-8.
MountMaker = Callable[[Mapping[str, bytes | str]], WritableBackend]

#: How long :func:`assert_assets_exist` waits for the names of a bucket, in seconds.
WAIT_SECONDS = 10.0

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


#: Makes a bucket of that name, with these objects by key.
BucketMaker = Callable[[str, Mapping[str, bytes | str]], str]


@pytest.fixture
def mock_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketMaker]:
    """Makes buckets under moto's ``mock_aws``, which is active for the test; gives the URL of each.

    Credentials are fake ones. An environment that names another endpoint is left aside.
    """
    import boto3
    from moto import mock_aws

    for name, value in {
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():

        def make(name: str, objects: Mapping[str, bytes | str]) -> str:
            client = boto3.client("s3")
            try:
                client.create_bucket(Bucket=name)
                for key, content in objects.items():
                    data = content.encode() if isinstance(content, str) else content
                    client.put_object(Bucket=name, Key=key, Body=data, ContentType=media_types.of(key))
            finally:
                client.close()
            return f"s3://{name}"

        yield make


def assert_assets_exist(app: object, templates: Any = None) -> int:
    """Check that every asset which templates name by a constant is there; gives how many were checked.

    Args:
        app: the store, or an application that has its routes.
        templates: a Jinja2 environment or a ``Jinja2Templates``. Default: those for which
            :func:`assetstore.integrations.jinja.install` was called with this store.

    Raises:
        AssertionError: a file is missing, or there is nothing to check; each missing one is named with its template and
            line, and with names that are close.
    """
    from assetstore.integrations import jinja
    from assetstore.mounts.url_for import nearest

    mounts = app.mounts if isinstance(app, AssetStore) else _mounts_in(getattr(app, "routes", ()))
    assert mounts is not None, f"{app!r} has no routes of an AssetStore; add assets.routes to it, or give the store"
    found = jinja.environments_of(mounts) if templates is None else [getattr(templates, "env", templates)]
    assert found, (
        "no templates are known: call assetstore.integrations.jinja.install(templates, assets), or give templates="
    )
    missing, checked = [], 0
    for named in (each for env in found for each in jinja.assets_in(env)):
        if named.mount is not None and named.mount not in mounts.names:
            continue  # a route of the application's own
        mount = mounts.named(mounts.default if named.mount is None else named.mount)
        resolver = mount.resolver
        if isinstance(resolver, BackgroundResolver):
            resolver.wait(WAIT_SECONDS, named.file)
        checked += 1
        if resolver.find(named.file) is None or not mount.allows(named.file):
            close = " or ".join(map(repr, nearest(mount, named.file)))
            hint = f"; did you mean {close}?" if close else ""
            missing.append(f"{named.template}:{named.line}: no asset {named.file!r} in mount {mount.label}{hint}")
    assert not missing, "\n".join(["templates name assets that are not there:", *missing])
    return checked


def _mounts_in(routes: Iterable[object]) -> MountTable | None:
    """The mounts of the store whose routes are among *routes*, or inside one of them."""
    for route in routes:
        if isinstance(mounts := getattr(route, "mounts", None), MountTable):
            return mounts
        if (found := _mounts_in(getattr(route, "routes", None) or ())) is not None:
            return found
    return None


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
