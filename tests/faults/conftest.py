"""A whole service before a bucket that can break: uvicorn, store, fault proxy, moto."""

from __future__ import annotations

import hashlib
import http.client
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.backends.remote import CacheSettings, RemoteLimits
from servers.fault_proxy import FaultProxy
from servers.s3 import S3Bucket, S3Server, bucket_on
from servers.threads import served

PREFIX = "media"

#: As short as a loopback allows, so that a test of "too slow" is a quick one.
LIMITS = RemoteLimits(
    connect_seconds=1.0, read_seconds=1.0, total_seconds=3.0, breaker_faults=1000, breaker_seconds=0.2, wait_seconds=2.0
)


@dataclass(frozen=True)
class Answer:
    """A response as it came over the wire; ``whole`` unless the connection broke before its promised end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


class Service:
    """A store with one mount at ``/media/``, served by uvicorn, whose bucket is behind :attr:`proxy`."""

    def __init__(self, store: AssetStore, port: int, bucket: S3Bucket, proxy: FaultProxy, folder: str = "") -> None:
        self.store = store
        self.bucket = bucket
        self.proxy = proxy
        self.port = port
        self.folder = folder

    def inside(self, folder: str) -> Service:
        """The same service; every path is one in *folder*."""
        return Service(self.store, self.port, self.bucket, self.proxy, f"{folder}/")

    def put(self, path: str, body: bytes, checksum: bool = False) -> None:
        metadata = {"Metadata": {"assetstore-sha256": hashlib.sha256(body).hexdigest()}} if checksum else {}
        self.bucket.client.put_object(
            Bucket=self.bucket.name, Key=f"{PREFIX}/{self.folder}{path}", Body=body, ACL="public-read", **metadata
        )

    def delete(self, path: str) -> None:
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key=f"{PREFIX}/{self.folder}{path}")

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", timeout: float = 15
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, f"/media/{self.folder}{path}", headers=dict(headers or {}))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Answer(response.status, told, response.read())
            except http.client.IncompleteRead as error:
                return Answer(response.status, told, error.partial, whole=False)
        finally:
            connection.close()

    def asked(self, path: str) -> list[str]:
        """The methods of the requests for *path* that reached the proxy."""
        return [seen.method for seen in self.proxy.requests if seen.path.endswith(f"/{PREFIX}/{self.folder}{path}")]


MakeService = Callable[..., Service]


@contextmanager
def service_on(
    server: S3Server,
    *,
    cache: CacheSettings | None = None,
    limits: RemoteLimits = LIMITS,
    options: Mapping[str, Any] | None = None,
    plain: bool = False,
    **mount: Any,
) -> Iterator[Service]:
    """A service of its own on a bucket of its own, which it reads as S3 or, if *plain*, as any HTTP origin."""
    with ExitStack() as exits:
        bucket = exits.enter_context(bucket_on(server))
        proxy = FaultProxy(server.endpoint_url)
        exits.callback(proxy.close)
        store = AssetStore()
        store.static(
            "/media/",
            root=f"{proxy.url}/{bucket.name}/{PREFIX}" if plain else f"{bucket.url}/{PREFIX}",
            name="media",
            storage_options=None if plain else {**server.options, "endpoint_url": proxy.url, **(options or {})},
            cache=cache or CacheSettings(ttl_seconds=0, stale_wait_seconds=0.3),
            limits=limits,
            **mount,
        )
        if not plain:
            # Making a boto3 client takes a second of processor time, which is no fault to wait for.
            next(iter(store.mounts)).backend.client.get()  # type: ignore[attr-defined]
        routes = [*store.routes, *store.status_routes()]
        url = exits.enter_context(served(Starlette(routes=routes, lifespan=store.lifespan)))
        yield Service(store, int(url.rpartition(":")[2]), bucket, proxy)


@pytest.fixture
def make_service(moto_server: S3Server) -> Iterator[MakeService]:
    """``make_service(cache=…, limits=…, options=…)`` is a service that ends with the test."""
    with ExitStack() as exits:
        yield lambda **how: exits.enter_context(service_on(moto_server, **how))


@pytest.fixture(scope="module")
def shared_service(moto_server: S3Server) -> Iterator[Service]:
    with service_on(moto_server) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """A service that believes nothing for longer than it takes to say it, and a folder of the test's own."""
    yield shared_service.inside(uuid.uuid4().hex[:8])
    shared_service.proxy.heal()
