"""A check of a release that was pushed to a bucket, with a CDN in front of the bucket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from assetstore.check import check, probes
from assetstore.check.rules import CheckResult, Item
from assetstore.publish import publish
from assetstore.publish.layout import open_target
from assetstore.store import AssetStore
from servers.edges import StartEdge
from servers.s3 import S3Bucket


def readable(bucket: str) -> dict[str, object]:
    """The policy of a bucket that everybody may read."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allowed = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [allowed]}


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SECOND_LOOK_SECONDS", 0.01)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    (folder / "fonts").mkdir(parents=True)
    (folder / "app.css").write_text("body { color: red; }\n" * 500)
    (folder / "small.txt").write_text("humans\n")
    (folder / "fonts/text.woff2").write_bytes(os.urandom(3000))
    return folder


def test_a_pushed_release_is_proved_and_its_faults_are_found(
    root: Path, moto_bucket: S3Bucket, edge: StartEdge
) -> None:
    mount = AssetStore({}).static("https://cdn.example.com/", root=root, name="assets", shared_cache="s-maxage=60")
    target = open_target(f"{moto_bucket.url}/site", moto_bucket.server.options)
    entries = publish(mount, target, coding="gzip").manifest.entries
    port = urlsplit(moto_bucket.server.endpoint_url).port

    def faults() -> list[CheckResult]:
        return check(edge("nginx", port, path=f"/{moto_bucket.name}/site/").url + "/", entries).faults

    closed = faults()
    assert {(each.item, each.saw) for each in closed} >= {(Item.STATUS, "status 403 instead of 200")}
    assert any("s3:GetObject" in each.change for each in closed)
    moto_bucket.client.put_bucket_policy(Bucket=moto_bucket.name, Policy=json.dumps(readable(moto_bucket.name)))
    assert faults() == []
    target.delete(entries["fonts/text.woff2"].fingerprinted_path)
    assert [(each.item, each.saw) for each in faults()] == [(Item.STATUS, "status 404 instead of 200")]
