"""Litestar's static files over s3fs as they are measured."""

from __future__ import annotations

from litestar import Litestar
from litestar.static_files import create_static_files_router
from s3fs import S3FileSystem

from benchmarks import bucket
from benchmarks.apps import S3FS

filesystem = S3FileSystem(use_listings_cache=False, **S3FS)
app = Litestar([create_static_files_router(path="/assets", directories=[f"/{bucket.NAME}"], file_system=filesystem)])
