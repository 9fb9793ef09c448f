"""Assetstore over a bucket as it is measured: keeping what it read, keeping nothing, and on disk."""

from __future__ import annotations

import os
from typing import Any

from assetstore import AssetStore
from assetstore.backends.remote import MIB, CacheSettings
from benchmarks import bucket
from benchmarks.apps import S3, TREE, nothing


def forgetful(memory_bytes: int) -> CacheSettings:
    """A cache that cannot hold what is asked for in rotation, so that every request goes to the bucket."""
    return CacheSettings(memory_bytes=memory_bytes, max_paths=256, ttl_seconds=0.5, stale_seconds=0)


def store(**options: Any) -> AssetStore:
    """A mount at ``/assets/`` over the bucket."""
    assets = AssetStore()
    root = f"s3://{bucket.NAME}"
    assets.static("/assets/", root=root, storage_options=S3, fingerprint=False, index="lazy", **options)
    return assets


def _local() -> AssetStore:
    assets = AssetStore()
    assets.static("/assets/", root=os.path.join(TREE, bucket.NAME), fingerprint=False)
    return assets


hot = store().wrap(nothing)
cold_4k = store(cache=forgetful(1 * MIB)).wrap(nothing)
cold_1m = store(cache=forgetful(96 * MIB)).wrap(nothing)
local = _local().wrap(nothing)
