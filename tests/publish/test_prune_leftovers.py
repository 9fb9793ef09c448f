"""A prune leaves no orphans: after half a listing, after a kill, and of uploads that never ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend
from assetstore.backends.s3.backend import S3Backend
from assetstore.errors import UnexpectedResponse
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.prune import Keep, apply, plan
from servers.s3 import S3Bucket


def releases_of(mount: Mount, tree: Path, target: WritableBackend) -> None:
    for content in ("first", "second", "third"):
        (tree / "robots.txt").write_text(content)
        publish(mount, target)


def test_what_half_a_listing_hides_is_deleted_too(
    mount: Mount, asset_tree: Path, target: WritableBackend, folder: Path, watch: Any
) -> None:
    releases_of(mount, asset_tree, target)

    class HalfListed(type(watch(target))):  # type: ignore[misc]
        def walk(self) -> Iterator[Any]:
            yield from list(super().walk())[::2]

    half = HalfListed(target)
    apply(plan(half, Keep(1), datetime.now(UTC)), half)
    assert len(list(folder.glob("robots-*.txt"))) == 1
    assert len(list((folder / ".assetstore/manifests").iterdir())) == 1


def test_temporary_files_of_killed_writers_go_after_a_day(mount: Mount, target: WritableBackend, folder: Path) -> None:
    publish(mount, target)
    old, young = folder / "css/.0123456789abcdef.part", folder / ".fedcba9876543210.part"
    for file in (old, young):
        file.write_bytes(b"x" * 1000)
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    found = plan(target, Keep(5), datetime.now(UTC))
    assert [(each.path, each.size) for each in found.unfinished] == [("css/.0123456789abcdef.part", 1000)]
    assert found.changes
    apply(found, target)
    assert (old.exists(), young.exists()) == (False, True)


def test_multipart_uploads_of_killed_writers_are_aborted_after_a_day(mount: Mount, s3_bucket: S3Bucket) -> None:
    target = open_backend(f"{s3_bucket.url}/site", s3_bucket.server.options)
    assert isinstance(target, S3Backend)
    publish(mount, target)
    s3_bucket.client.create_multipart_upload(Bucket=s3_bucket.name, Key="site/big.bin")
    s3_bucket.client.create_multipart_upload(Bucket=s3_bucket.name, Key="elsewhere/big.bin")
    found = plan(target, Keep(5), datetime.now(UTC) + timedelta(days=2))
    assert [each.path for each in found.unfinished] == ["big.bin"]
    apply(found, target)
    left = s3_bucket.client.list_multipart_uploads(Bucket=s3_bucket.name)["Uploads"]
    assert [each["Key"] for each in left] == ["elsewhere/big.bin"]
    s3_bucket.client.abort_multipart_upload(
        Bucket=s3_bucket.name, Key="elsewhere/big.bin", UploadId=left[0]["UploadId"]
    )
    target.client.close()


@pytest.mark.timeout(30)
def test_a_listing_that_repeats_a_page_ends_with_an_error(moto_bucket: S3Bucket) -> None:
    target = open_backend(f"{moto_bucket.url}/site", moto_bucket.server.options)
    assert isinstance(target, S3Backend)

    def endless(parsed: dict[str, Any], **_: Any) -> None:
        parsed["IsTruncated"], parsed["NextContinuationToken"] = True, "the same"

    target.client.get().meta.events.register("after-call.s3.ListObjectsV2", endless)
    with pytest.raises(UnexpectedResponse, match="gives one page again and again"):
        list(target.walk())
    target.client.close()
