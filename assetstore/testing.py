"""pytest fixtures for applications: mounts that need no bucket and no disk, AWS in process, a check of every name.

Also :class:`LoopWatch`, which measures how long an event loop was held.

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

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, cast

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


class LoopWatch:
    """Measures the stalls of the running event loop of asyncio: for how long it ran nothing but one callback.

    While it is held, no other request is read or answered. A timer that is due every *every_seconds*
    measures it: how late it fires is how long the loop was held, give or take that interval::

        async def test_no_page_holds_the_loop(client):
            with LoopWatch() as watch:
                await client.get("/")
            assert watch.longest_seconds < 0.02

    In a server, hold one open for as long as the application runs, in its lifespan, and export what
    :meth:`reset` gives.

    Args:
        every_seconds: the interval of the timer.
    """

    def __init__(self, every_seconds: float = 0.001) -> None:
        #: The longest time for which the loop was held, in seconds.
        self.longest_seconds = 0.0
        #: The same, of which only that part counts during which this process had the processor (in any of its
        #: threads). On a machine with other work, the rest may be the others'; so it is where the process waited
        #: for a disk.
        self.longest_busy_seconds = 0.0
        self._every_seconds = every_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last = self._last_busy = 0.0

    def __enter__(self) -> Self:
        """Begin to watch the running loop.

        Raises:
            RuntimeError: no event loop of asyncio runs.
        """
        self._loop = asyncio.get_running_loop()
        self._last, self._last_busy = time.perf_counter(), time.process_time()
        self._timer = self._loop.call_later(self._every_seconds, self._again)
        return self

    def __exit__(self, *_: object) -> None:
        self._measure()
        if self._timer is not None:
            self._timer.cancel()

    def reset(self) -> tuple[float, float]:
        """:attr:`longest_seconds` and :attr:`longest_busy_seconds` so far, which then begin at 0 again."""
        self._measure()
        longest = self.longest_seconds, self.longest_busy_seconds
        self.longest_seconds = self.longest_busy_seconds = 0.0
        return longest

    def _again(self) -> None:
        self._measure()
        assert self._loop is not None
        self._timer = self._loop.call_later(self._every_seconds, self._again)

    def _measure(self) -> None:
        now, busy = time.perf_counter(), time.process_time()
        held = max(0.0, now - self._last - self._every_seconds)
        self.longest_seconds = max(self.longest_seconds, held)
        self.longest_busy_seconds = max(self.longest_busy_seconds, min(held, busy - self._last_busy))
        self._last, self._last_busy = now, busy


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
