"""What a mount's options say of a file is stored with it, as the server sends it."""

from __future__ import annotations

import gzip
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from assetstore import AssetStore

FILES = {
    "a.own": b"x",
    "latin.txt": "caf\u00e9".encode("latin-1"),
    "utf8.txt": "caf\u00e9".encode(),
    "logo.svgz": gzip.compress(b"<svg/>", mtime=0),
    "img/a.png": b"png",
    "assets/index-CGZxCL6k.js": b"js",
    "about.html": b"<!doctype html>",
    ".foo/a.txt": b"hidden",
}


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str, str | None]]:
    """Content-Type, Cache-Control and Content-Encoding of each plain object."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    store = AssetStore({})
    store.static(
        "/assets/",
        root=tmp_path,
        name="assets",
        media_types={".own": "model/x-own"},
        max_age={"**": 5, "*.png": 60},
        immutable="vite",
        html=True,
        hidden=[".foo"],
    )
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        store.publish("s3://bucket/site")
        assert not any(each.released for each in store.publish("s3://bucket/site")), (
            "nothing changed, so nothing is written"
        )
        found = {path: s3.head_object(Bucket="bucket", Key=f"site/{path}") for path in FILES}
        store.close()
    return {
        path: (head["ContentType"], head["CacheControl"], head.get("ContentEncoding")) for path, head in found.items()
    }


def test_objects_carry_what_the_server_would_send(stored: dict[str, tuple[str, str, str | None]]) -> None:
    short, minute = "max-age=5, public, must-revalidate", "max-age=60, public, must-revalidate"
    assert stored == {
        "a.own": ("model/x-own", short, None),
        "latin.txt": ("text/plain", short, None),
        "utf8.txt": ("text/plain; charset=utf-8", short, None),
        "logo.svgz": ("image/svg+xml", short, "gzip"),
        "img/a.png": ("image/png", minute, None),
        "assets/index-CGZxCL6k.js": ("text/javascript; charset=utf-8", "max-age=31536000, public, immutable", None),
        "about.html": ("text/html; charset=utf-8", "max-age=0, public, must-revalidate", None),
        ".foo/a.txt": ("text/plain; charset=utf-8", short, None),
    }
