"""The publishers that are measured: ``python -m benchmarks.publishers SUBJECT FOLDER S3_URL ENDPOINT``.

Each runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Uploads at once, the same for every subject that can be told.
WORKERS = 16

_KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


def _keys() -> Any:
    return dict(_KEYS)


def assetstore(folder: str, to: str, endpoint: str, *, fingerprint: str | bool = "content") -> None:
    """Publish under both names, or under plain names only where *fingerprint* is false."""
    from assetstore.publish import publish
    from assetstore.publish.layout import open_target
    from assetstore.store import AssetStore

    options = {**_keys(), "endpoint_url": endpoint, "addressing_style": "path"} if endpoint else None
    mount = AssetStore({}).static("/assets/", root=folder, name="assets", fingerprint=fingerprint)
    publish(mount, open_target(to, options), workers=WORKERS)


def boto3_pool(folder: str, to: str, endpoint: str) -> None:
    """``upload_file`` for every file, in a pool: what most people write."""
    import boto3
    from botocore.config import Config

    bucket, _, prefix = to.removeprefix("s3://").partition("/")
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=WORKERS)
    client = boto3.client("s3", endpoint_url=endpoint, config=config, **_keys())
    root = Path(folder)

    def upload(file: Path) -> None:
        client.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(root).as_posix()}")

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(upload, (each for each in root.rglob("*") if each.is_file())))


def listing(folder: str, to: str, endpoint: str) -> None:
    """List the files and the target, and nothing else: what no publish can do without."""
    from assetstore.backends import open_backend
    from assetstore.publish.layout import open_target

    options = {**_keys(), "endpoint_url": endpoint, "addressing_style": "path"} if endpoint else None
    for backend in (open_backend(folder), open_target(to, options)):
        for _ in backend.walk():
            pass


SUBJECTS: dict[str, Callable[[str, str, str], None]] = {
    "assetstore": assetstore,
    "assetstore-plain": lambda folder, to, endpoint: assetstore(folder, to, endpoint, fingerprint=False),
    "boto3": boto3_pool,
    "listing": listing,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    SUBJECTS[name](*rest)
