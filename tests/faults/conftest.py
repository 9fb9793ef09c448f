"""A whole service before a bucket that can break: uvicorn, store, fault proxy, and moto, fake-gcs-server or Azurite."""

from __future__ import annotations

import hashlib
import http.client
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.backends.remote import CacheSettings, RemoteLimits
from servers.emulators import ACCOUNT, KEY
from servers.fault_proxy import FaultProxy, Seen
from servers.faults import EXPIRED_TOKEN, SLOW_DOWN, WRONG_SECRET, ErrorAnswer, Fault, Truncate
from servers.s3 import S3Server, bucket_on
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

    def __init__(self, store: AssetStore, port: int, bucket: Bucket, proxy: FaultProxy, folder: str = "") -> None:
        self.store = store
        self.bucket = bucket
        self.proxy = proxy
        self.port = port
        self.folder = folder

    def inside(self, folder: str) -> Service:
        """The same service; every path is one in *folder*."""
        return Service(self.store, self.port, self.bucket, self.proxy, f"{folder}/")

    def put(self, path: str, body: bytes, checksum: bool = False) -> None:
        """Store *body* without going through the proxy, with its digest beside it if *checksum*."""
        self.bucket.put(f"{self.folder}{path}", body, hashlib.sha256(body).hexdigest() if checksum else None)

    def delete(self, path: str) -> None:
        self.bucket.delete(f"{self.folder}{path}")

    def breaks(self, fault: Fault, **when: Any) -> None:
        """From now on the storage has *fault*, in its own words."""
        self.proxy.use(self.bucket.words.get(fault, fault) if isinstance(fault, ErrorAnswer) else fault, **when)

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

    def about(self, path: str) -> Callable[[Seen], bool]:
        """Whether a request is about *path*, and not a listing or about the bucket."""
        return lambda seen: unquote(seen.path).endswith(f"/{PREFIX}/{self.folder}{path}")

    def bytes_of(self, path: str) -> Callable[[Seen], bool]:
        """Whether a request is for the bytes of *path*, which Google Cloud Storage sends without the metadata."""
        about = self.about(path)
        return lambda seen: about(seen) and not seen.path.startswith("/storage/v1/b/")

    def asked(self, path: str) -> list[str]:
        """The methods of the requests for *path* that reached the proxy."""
        return [seen.method for seen in self.proxy.requests if self.about(path)(seen)]


@dataclass(frozen=True)
class Bucket:
    """Where the files of a service are: a way to change them, and how the proxy in front is reached."""

    name: str
    #: The server's own URL, which the proxy passes on to.
    endpoint: str
    root: str
    #: The ``storage_options`` for a server at a URL.
    options: Callable[[str], dict[str, Any]]
    put: Callable[[str, bytes, str | None], object]
    delete: Callable[[str], object]
    #: How this storage says what S3 says by a status and a code.
    words: Mapping[ErrorAnswer, ErrorAnswer] = field(default_factory=dict)
    #: What a fault is answered with where that differs from S3.
    statuses: Mapping[type[Fault], int] = field(default_factory=dict)
    #: Whether bodies are read in pieces of 4 MiB, each by a request that is waited for.
    in_pieces: bool = False


@contextmanager
def s3_bucket_of(server: S3Server) -> Iterator[Bucket]:
    with bucket_on(server) as bucket:

        def put(path: str, body: bytes, sha256: str | None) -> None:
            metadata = {"Metadata": {"assetstore-sha256": sha256}} if sha256 else {}
            bucket.client.put_object(
                Bucket=bucket.name, Key=f"{PREFIX}/{path}", Body=body, ACL="public-read", **metadata
            )

        yield Bucket(
            bucket.name,
            server.endpoint_url,
            f"{bucket.url}/{PREFIX}",
            lambda url: {**server.options, "endpoint_url": url},
            put,
            lambda path: bucket.client.delete_object(Bucket=bucket.name, Key=f"{PREFIX}/{path}"),
        )


@contextmanager
def _written_to(root: str, endpoint: str, options: Callable[[str], dict[str, Any]], **how: Any) -> Iterator[Bucket]:
    backend = open_backend(root, options(endpoint))
    assert isinstance(backend, WritableBackend)

    def put(path: str, body: bytes, sha256: str | None) -> None:
        backend.write(path, BytesFile.of(path, body), WriteOptions("text/css", "no-cache", sha256=sha256))

    yield Bucket(root.split("/")[2], endpoint, root, options, put, backend.delete, in_pieces=True, **how)
    backend.close()  # type: ignore[attr-defined]


@contextmanager
def gcs_bucket_of(endpoint: str) -> Iterator[Bucket]:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    client = Client("testing", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    bucket = client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
    refused = ErrorAnswer(401, "Unauthorized")
    words = {
        SLOW_DOWN: ErrorAnswer(429, "TooManyRequests", {"Retry-After": "3"}),
        EXPIRED_TOKEN: refused,
        WRONG_SECRET: refused,
    }
    with _written_to(
        f"gs://{bucket.name}/{PREFIX}", endpoint, lambda url: {"token": "anon", "endpoint": url}, words=words
    ) as found:
        yield found
    client.close()


@contextmanager
def azure_bucket_of(url: str) -> Iterator[Bucket]:
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient(url, {"account_name": ACCOUNT, "account_key": KEY}) as service:
        container = service.create_container(f"container-{uuid.uuid4().hex[:12]}").container_name
        words = {
            SLOW_DOWN: ErrorAnswer(503, "ServerBusy", {"Retry-After": "3"}),
            EXPIRED_TOKEN: ErrorAnswer(401, "InvalidAuthenticationInfo"),
            WRONG_SECRET: ErrorAnswer(403, "AuthenticationFailed", {"x-ms-error-code": "AuthenticationFailed"}),
        }
        with _written_to(
            f"az://{container}/{PREFIX}",
            url.removesuffix(f"/{ACCOUNT}"),
            lambda at: {"account_url": f"{at}/{ACCOUNT}", "account_name": ACCOUNT, "account_key": KEY},
            words=words,
            statuses={Truncate: 504},  # its client tries three times, a second apart, which cannot be set
        ) as found:
            yield found


MakeService = Callable[..., Service]


@contextmanager
def service_on(
    on: AbstractContextManager[Bucket],
    *,
    cache: CacheSettings | None = None,
    limits: RemoteLimits = LIMITS,
    options: Mapping[str, Any] | None = None,
    plain: bool = False,
    **mount: Any,
) -> Iterator[Service]:
    """A service of its own on a bucket of its own, which it reads as what it is or, if *plain*, as any HTTP origin."""
    with ExitStack() as exits:
        bucket = exits.enter_context(on)
        proxy = FaultProxy(bucket.endpoint)
        exits.callback(proxy.close)
        store = AssetStore()
        store.static(
            "/media/",
            root=f"{proxy.url}/{bucket.name}/{PREFIX}" if plain else bucket.root,
            name="media",
            storage_options=None if plain else {**bucket.options(proxy.url), **(options or {})},
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
        yield lambda **how: exits.enter_context(service_on(s3_bucket_of(moto_server), **how))


@pytest.fixture(scope="module")
def shared_service(moto_server: S3Server) -> Iterator[Service]:
    with service_on(s3_bucket_of(moto_server)) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """A service that believes nothing for longer than it takes to say it, and a folder of the test's own."""
    yield shared_service.inside(uuid.uuid4().hex[:8])
    shared_service.proxy.heal()


@pytest.fixture(scope="module", params=["S3", "GCS", "Azure"])
def shared_by_each(request: pytest.FixtureRequest) -> Iterator[Service]:
    if request.param == "S3":
        yield request.getfixturevalue("shared_service")
        return
    on = {
        "GCS": lambda: gcs_bucket_of(request.getfixturevalue("gcs_endpoint")),
        "Azure": lambda: azure_bucket_of(request.getfixturevalue("azure_url")),
    }[request.param]()
    with service_on(on, index="lazy") as service:
        yield service


@pytest.fixture
def each_service(shared_by_each: Service) -> Iterator[Service]:
    """The same on S3, Google Cloud Storage and Azure."""
    yield shared_by_each.inside(uuid.uuid4().hex[:8])
    shared_by_each.proxy.heal()
