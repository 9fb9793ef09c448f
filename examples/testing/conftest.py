"""What the tests of the shop share: the places where its files can be, and a guard that nothing leaves the machine."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

pytest_plugins = ["assetstore.testing"]

HERE = Path(__file__).parent
PLACES = ["disk", "mock_aws", "moto's server", "LocalStack", "CDN"]


def files(folder: str) -> dict[str, bytes]:
    root = HERE / folder
    return {f"{folder}/{file.relative_to(root).as_posix()}": file.read_bytes() for file in root.rglob("*.*")}


def fill(endpoint: str, bucket: str) -> None:
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=bucket)
    for key, content in {**files("assets"), **files("media")}.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    client.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Puts the files of the shop somewhere, and configures it by the environment alone."""
    bucket = f"shop-{uuid.uuid4().hex[:8]}"
    if request.param == "CDN":
        monkeypatch.setenv("ASSETS_URL", "https://cdn.example.com/")
    elif request.param == "mock_aws":
        request.getfixturevalue("mock_s3")(bucket, {**files("assets"), **files("media")})
    elif request.param != "disk":
        local = os.environ.get("LOCALSTACK_URL")
        if request.param == "LocalStack" and not local:
            pytest.skip("LOCALSTACK_URL names no LocalStack")
        endpoint = local if request.param == "LocalStack" else request.getfixturevalue("s3_endpoint")
        for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "ENDPOINT_URL": endpoint}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fill(str(endpoint), bucket)
    if request.param not in {"disk", "CDN"}:
        monkeypatch.setenv("SHOP_ASSETS", f"s3://{bucket}/assets")
        monkeypatch.setenv("SHOP_MEDIA", f"s3://{bucket}/media")
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up and no connection made but to this machine."""
    look_up: Callable[..., Any] = socket.getaddrinfo
    connect = socket.socket.connect

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        assert str(host) in {"127.0.0.1", "localhost", "::1", "None"}, f"the test looked up {host}"
        return look_up(host, *rest, **more)

    def guarded_connect(self: socket.socket, address: Any) -> Any:
        local = not isinstance(address, tuple) or str(address[0]) in {"127.0.0.1", "localhost", "::1"}
        assert local, f"the test connected to {address}"
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)


def running() -> tuple[int, int]:
    threads = [each for each in threading.enumerate() if each.name.startswith("assetstore")]
    return len(threads), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture
def nothing_outlives_it(place: str) -> Iterator[None]:
    """As many threads of ours and as many descriptors after the test as before it."""
    gc.collect()
    before = running()
    yield
    deadline = time.monotonic() + 5
    while running() > before and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert running() <= before
