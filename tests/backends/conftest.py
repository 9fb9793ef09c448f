"""The bucket that tests of the S3 backend share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assetstore.backends.s3.backend import S3Backend, open_url
from servers.s3 import S3Bucket


@pytest.fixture
def bucket_backend(moto_bucket: S3Bucket) -> Iterator[S3Backend]:
    """What is beneath ``pre/`` in a bucket."""
    backend = open_url(f"{moto_bucket.url}/pre", moto_bucket.server.options)
    yield backend
    backend.client.close()
