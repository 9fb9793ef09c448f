"""The S3 servers that the tests talk to over a socket: moto, LocalStack and Swift.

moto and LocalStack believe every signature; Swift checks them, and is asked wherever that is what
a test is about.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from servers.processes import PROJECT, ProcessStarter, free_port
from servers.swift import SwiftServer


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where an S3 server answers, and the credentials that it takes."""

    name: str
    endpoint_url: str
    access_key: str = "testing"
    secret_key: str = "testing"
    region: str = "us-east-1"
    session_token: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What ``boto3.client("s3", **options)`` needs to reach it."""
        return {
            "endpoint_url": self.endpoint_url,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_session_token": self.session_token,
            "region_name": self.region,
        }

    def client(self, **options: Any) -> Any:
        """A boto3 client of its own; close it."""
        return boto3.client("s3", **{**self.options, "config": PLAIN, **options})


#: Path style and few retries, as servers on a loopback port need it.
PLAIN = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2, "mode": "standard"})


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket of a test's own on a running server."""

    server: S3Server
    name: str
    client: Any

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, files: dict[str, bytes], **headers: str) -> None:
        """Store each key with its bytes; *headers* are put_object's own (``ContentType=…``)."""
        for key, body in files.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=body, **headers)

    def empty(self) -> None:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for row in page.get("Contents", ()):
                self.client.delete_object(Bucket=self.name, Key=row["Key"])


@contextlib.contextmanager
def bucket_on(server: S3Server) -> Iterator[S3Bucket]:
    """A new bucket on *server*, gone afterwards."""
    client = server.client()
    name = f"assets-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    bucket = S3Bucket(server, name, client)
    try:
        yield bucket
        bucket.empty()
        client.delete_bucket(Bucket=name)
    finally:
        client.close()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """moto's server in a thread of the test process, over a socket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server("moto", f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def localstack_server(program: Callable[[str], Path], start_session_process: ProcessStarter) -> S3Server:
    """LocalStack without Docker, started by the script that users start."""
    program("localstack")
    port = free_port()
    process = start_session_process([PROJECT / "localstack/run", str(port)], port=port, within_seconds=90)
    with urllib.request.urlopen(f"{process.url}/_localstack/health", timeout=30) as answer:
        services = json.load(answer)["services"]
    assert services["s3"] in {"running", "available"}, services
    return S3Server("localstack", process.url, access_key="test", secret_key="test")


@pytest.fixture(scope="session")
def swift_server(
    program: Callable[[str], Path],
    start_session_process: ProcessStarter,
    tmp_path_factory: pytest.TempPathFactory,
) -> S3Server:
    """OpenStack Swift with its S3 interface: four processes that check signatures."""
    environment = program("swift").parent
    swift = SwiftServer.start(environment, tmp_path_factory.mktemp("swift"), start_session_process)
    return S3Server("swift", swift.url, swift.ACCESS_KEY, swift.SECRET_KEY)


@pytest.fixture(scope="session", params=["moto", pytest.param("localstack", marks=pytest.mark.localstack)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each S3 server that a whole suite is run against."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[S3Bucket]:
    """A new bucket on each of those servers."""
    with bucket_on(s3_server) as bucket:
        yield bucket


@pytest.fixture
def moto_bucket(moto_server: S3Server) -> Iterator[S3Bucket]:
    """A new bucket on moto's server alone."""
    with bucket_on(moto_server) as bucket:
        yield bucket


@pytest.fixture
def swift_bucket(swift_server: S3Server) -> Iterator[S3Bucket]:
    """A new bucket on the server that checks signatures."""
    with bucket_on(swift_server) as bucket:
        yield bucket
