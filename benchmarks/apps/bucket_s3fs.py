"""A FastAPI route over s3fs, used asynchronously, as it is measured."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Response
from s3fs import S3FileSystem

from benchmarks import bucket
from benchmarks.apps import S3FS

app = FastAPI()
filesystem = S3FileSystem(asynchronous=True, use_listings_cache=False, **S3FS)


@app.get("/assets/{key:path}")
async def asset(key: str) -> Response:
    path = f"{bucket.NAME}/{key}"
    try:
        facts = await filesystem._info(path)
        data = await filesystem._cat_file(path)
    except FileNotFoundError:
        raise HTTPException(404) from None
    return Response(data, headers={"ETag": facts["ETag"], "Cache-Control": "public, max-age=0"})
