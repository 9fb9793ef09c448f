"""The applications that are measured, each over the tree that ``BENCHMARK_TREE`` names."""

from __future__ import annotations

import os

from starlette.types import Receive, Scope, Send

#: The directory of assets; every application answers for it at ``/assets/``.
TREE = os.environ.get("BENCHMARK_TREE", "")

#: Where the bucket is, in the words of boto3 and of s3fs.
S3 = {
    "endpoint_url": os.environ.get("BENCHMARK_S3", "http://127.0.0.1:9"),
    "region_name": "us-east-1",
    "aws_access_key_id": "bench",
    "aws_secret_access_key": "bench",
}
S3FS = {
    "key": S3["aws_access_key_id"],
    "secret": S3["aws_secret_access_key"],
    "client_kwargs": {"endpoint_url": S3["endpoint_url"], "region_name": S3["region_name"]},
}


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that has no answers, and nothing to do at start-up."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
