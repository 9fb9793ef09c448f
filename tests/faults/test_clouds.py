"""The faults of a bucket where it is Google Cloud Storage or Azure Blob Storage, as a client of the service meets them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from google.auth.credentials import Credentials
from starlette.applications import Starlette

from assetstore import AssetStore
from assetstore.backends import open_backend
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.publish import Published, publish
from servers.emulators import ACCOUNT, KEY
from servers.fault_proxy import FaultProxy, Seen
from servers.faults import (
    RESET,
    ErrorAnswer,
    Fault,
    Reply,
    Truncate,
)
from servers.threads import served

SMALL = b"body { color: red }\n" * 100
LARGE = bytes(range(256)) * 32 * 1024  # 8 MiB
LIMITS = RemoteLimits(
    connect_seconds=1.0, read_seconds=1.0, total_seconds=3.0, breaker_faults=1000, breaker_seconds=0.2, wait_seconds=2.0
)
BROKEN = ErrorAnswer(500, "InternalError")
THROTTLED = ErrorAnswer(429, "TooManyRequests", {"Retry-After": "7"})
PASSING = ErrorAnswer(429, "TooManyRequests", {"Retry-After": "1"})
UNAVAILABLE = ErrorAnswer(503, "ServerBusy", {"Retry-After": "3"})


class Cloud:
    """A store whose bucket is behind a proxy that can break, and a way to write past the proxy."""

    def __init__(self, url: str, proxy: FaultProxy, bucket: WritableBackend, store: AssetStore) -> None:
        self.url = url
        self.proxy = proxy
        self.bucket = bucket
        self.store = store

    def put(self, path: str, content: bytes) -> None:
        self.bucket.write(path, BytesFile.of(path, content), WriteOptions("text/css", "no-cache"))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}/media/{path}", headers={"accept-encoding": "identity", **headers}, timeout=15)


def gcs(request: pytest.FixtureRequest, exits: ExitStack) -> tuple[str, str, Callable[[str], dict[str, Any]]]:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    endpoint: str = request.getfixturevalue("gcs_endpoint")
    client = Client("testing", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    exits.callback(client.close)
    bucket = client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
    return f"gs://{bucket.name}/pre", endpoint, lambda url: {"token": "anon", "endpoint": url}


def azure(request: pytest.FixtureRequest, exits: ExitStack) -> tuple[str, str, Callable[[str], dict[str, Any]]]:
    from azure.storage.blob import BlobServiceClient

    url: str = request.getfixturevalue("azure_url")
    service = exits.enter_context(BlobServiceClient(url, {"account_name": ACCOUNT, "account_key": KEY}))
    container = service.create_container(f"container-{uuid.uuid4().hex[:12]}")
    endpoint = url.removesuffix(f"/{ACCOUNT}")

    def options(at: str) -> dict[str, Any]:
        return {"account_url": f"{at}/{ACCOUNT}", "account_name": ACCOUNT, "account_key": KEY}

    return f"az://{container.container_name}/pre", endpoint, options


@pytest.fixture(params=[gcs, azure], ids=["GCS", "Azure"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with ExitStack() as exits:
        root, endpoint, options = request.param(request, exits)
        proxy = FaultProxy(endpoint)
        exits.callback(proxy.close)
        bucket = open_backend(root, options(endpoint))
        assert isinstance(bucket, WritableBackend)
        exits.callback(bucket.close)  # type: ignore[attr-defined]
        store = AssetStore({})
        store.static(
            "/media/",
            root=root,
            name="media",
            storage_options=options(proxy.url),
            cache=CacheSettings(ttl_seconds=0, stale_wait_seconds=0.3),
            limits=LIMITS,
            index="lazy",
        )
        url = exits.enter_context(served(Starlette(routes=store.routes, lifespan=store.lifespan)))
        yield Cloud(url, proxy, bucket, store)


def of_the_object(seen: Seen) -> bool:
    return seen.path.endswith("app.css")


def test_a_fault_that_passes_is_not_seen(cloud: Cloud) -> None:
    cloud.put("app.css", SMALL)
    cloud.proxy.use(RESET, times=2, when=of_the_object)
    assert cloud.get("app.css").content == SMALL


def test_a_body_that_breaks_off_is_asked_for_again(cloud: Cloud) -> None:
    cloud.put("film/app.css", LARGE)
    cloud.proxy.use(Truncate(after=1_000_000), times=1, when=lambda seen: seen.path.endswith("app.css"))
    assert cloud.get("film/app.css").content == LARGE


def test_ranges_and_validators_are_those_of_the_object(cloud: Cloud) -> None:
    cloud.put("app.css", SMALL)
    whole = cloud.get("app.css")
    part = cloud.get("app.css", range="bytes=5-9")
    assert (part.status_code, part.content, part.headers["etag"]) == (206, SMALL[5:10], whole.headers["etag"])
    assert cloud.get("app.css", **{"if-none-match": whole.headers["etag"]}).status_code == 304
    assert cloud.get("app.css", range=f"bytes={len(SMALL)}-").status_code == 416


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(12):
        (tmp_path / f"{number}.css").write_bytes(b"a { color: red }" * number)
    (tmp_path / "film.bin").write_bytes(LARGE + LARGE)  # 16 MiB: a resumable upload on GCS, three blocks on Azure
    return tmp_path


def publish_through(cloud: Cloud, tree: Path) -> Published:
    """Publish *tree* through the proxy."""
    target = cloud.store.mounts.named("media").backend
    assert isinstance(target, WritableBackend)
    return publish(AssetStore({}).static("/assets/", root=tree, name="assets"), target)


@pytest.mark.parametrize("fault", [PASSING, BROKEN, RESET], ids=["429", "500", "reset"])
def test_a_publish_goes_on_after_faults_that_pass(cloud: Cloud, tree: Path, fault: Fault) -> None:
    cloud.proxy.use(fault, times=2, when=lambda seen: seen.method in {"PUT", "POST"})
    published = publish_through(cloud, tree)
    assert published.released
    assert read_bytes(cloud.bucket, "film.bin") == LARGE + LARGE
    for entry in published.manifest.entries.values():
        assert read_bytes(cloud.bucket, entry.fingerprinted_path) == (tree / entry.path).read_bytes()


def test_a_large_upload_that_breaks_off_is_made_again_and_never_half_there(cloud: Cloud, tree: Path) -> None:
    cloud.proxy.use(RESET, times=1, when=lambda seen: seen.method == "PUT" and "film" in seen.target)
    publish_through(cloud, tree)
    assert read_bytes(cloud.bucket, "film.bin") == LARGE + LARGE


@dataclass(frozen=True, slots=True)
class HalfArrived(Fault):
    """308 Resume Incomplete: of a resumable upload to Google Cloud Storage, only the first bytes have arrived."""

    def instead(self, wait: Callable[[float], None]) -> Reply | None:
        return Reply(308, {"Range": "bytes=0-262143"}, b"")


@pytest.mark.parametrize("cloud", [gcs], ids=["GCS"], indirect=True)
def test_a_resumable_upload_of_which_a_part_arrived_is_made_again(cloud: Cloud, tree: Path) -> None:
    begun = cloud.proxy.requests
    cloud.proxy.use(HalfArrived(), times=1, when=lambda seen: seen.method == "PUT" and "upload_id" in seen.target)
    publish_through(cloud, tree)
    assert sum(seen.method == "PUT" and "upload_id" in seen.target for seen in begun) >= 2
    assert read_bytes(cloud.bucket, "film.bin") == LARGE + LARGE


class Expiring(Credentials):  # type: ignore[misc]
    """Credentials whose token the server refuses until it is refreshed."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "expired"
        self.refreshed = 0

    def refresh(self, request: object) -> None:
        self.refreshed += 1
        self.token = f"fresh-{self.refreshed}"


def test_a_token_that_ends_in_the_middle_of_a_publish_is_refreshed(request: pytest.FixtureRequest, tree: Path) -> None:
    with ExitStack() as exits:
        root, endpoint, _ = gcs(request, exits)
        proxy = FaultProxy(endpoint)
        exits.callback(proxy.close)
        credentials = Expiring()
        target = open_backend(root, {"token": credentials, "endpoint": proxy.url})
        assert isinstance(target, WritableBackend)
        exits.callback(target.close)  # type: ignore[attr-defined]
        sent = 0

        def expired(seen: Seen) -> bool:
            nonlocal sent
            sent += 1
            return (
                sent > 10 and seen.headers.get("Authorization", seen.headers.get("authorization")) == "Bearer expired"
            )

        proxy.use(ErrorAnswer(401, "Unauthorized"), when=expired)
        published = publish(AssetStore({}).static("/assets/", root=tree, name="assets"), target)
        assert published.released
        assert credentials.refreshed >= 1
        assert read_bytes(target, "film.bin") == LARGE + LARGE
