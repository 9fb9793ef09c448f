"""This module owns the bucket of the demo: an S3 server in this process, filled from ``media/``.

It is moto's: the S3 interface in memory. It listens on 127.0.0.1 alone, at a port of its own, and
is gone when the demo ends.
"""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

MEDIA = Path(__file__).parent / "media"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the files of ``media/`` are, as a mount wants to know it."""

    root: str
    storage_options: Mapping[str, str]


@contextmanager
def filled_bucket(name: str = "demo-bucket", prefix: str = "media") -> Iterator[Bucket]:
    """A bucket with the files of ``media/`` in it, for as long as the context lasts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "endpoint_url": f"http://{host}:{port}",
            "region_name": "us-east-1",
            "aws_access_key_id": "demo",
            "aws_secret_access_key": "demo",
        }
        _fill(name, prefix, options)
        yield Bucket(f"s3://{name}/{prefix}", options)
    finally:
        server.stop()


def _fill(name: str, prefix: str, options: Mapping[str, str]) -> None:
    client = boto3.client("s3", **options)
    try:
        client.create_bucket(Bucket=name)
        for file in sorted(each for each in MEDIA.rglob("*") if each.is_file()):
            key = f"{prefix}/{file.relative_to(MEDIA).as_posix()}"
            of = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            client.put_object(Bucket=name, Key=key, Body=file.read_bytes(), ContentType=of)
    finally:
        client.close()
