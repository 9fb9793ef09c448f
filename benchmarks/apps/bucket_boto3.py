"""A plain FastAPI route over boto3 in threads, as it is measured."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse

from benchmarks import bucket
from benchmarks.apps import S3

#: Larger objects are streamed.
WHOLE_BYTES = 4 * 1024 * 1024

app = FastAPI()
client: Any = boto3.client("s3", **S3, config=Config(s3={"addressing_style": "path"}, max_pool_connections=64))


@app.get("/assets/{key:path}")
def asset(key: str) -> Response:
    try:
        answer = client.get_object(Bucket=bucket.NAME, Key=key)
    except ClientError:
        raise HTTPException(404) from None
    headers = {"ETag": answer["ETag"], "Cache-Control": "public, max-age=0"}
    if answer["ContentLength"] <= WHOLE_BYTES:
        return Response(answer["Body"].read(), headers=headers, media_type=answer["ContentType"])
    headers["Content-Length"] = str(answer["ContentLength"])
    return StreamingResponse(answer["Body"].iter_chunks(256 * 1024), headers=headers, media_type=answer["ContentType"])
