"""What is particular to buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from assetstore.backends.azure import AzureOptions
from assetstore.backends.base import read_bytes
from assetstore.backends.gcs import GCSOptions
from assetstore.backends.objects import BucketOptions
from assetstore.backends.s3.backend import S3Backend, open_url
from assetstore.backends.s3.client import S3Options
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    SettingsError,
)
from servers.fault_proxy import FaultProxy
from servers.faults import EXPIRED_TOKEN, FORBIDDEN, REFUSE, Delay
from servers.s3 import S3Bucket


@pytest.fixture
def behind(moto_bucket: S3Bucket, fault_proxy: Callable[[str], FaultProxy]) -> Iterator[tuple[S3Backend, FaultProxy]]:
    """A bucket that holds ``pre/a.css``, behind a proxy that can break."""
    moto_bucket.put({"pre/a.css": b"body"})
    proxy = fault_proxy(moto_bucket.server.endpoint_url)
    options = {**moto_bucket.server.options, "endpoint_url": proxy.url, "attempts": 1, "read_timeout_seconds": 0.5}
    backend = open_url(f"{moto_bucket.url}/pre", options)
    yield backend, proxy
    backend.client.close()


def test_a_listing_of_many_pages_is_whole(bucket_backend: S3Backend, moto_bucket: S3Bucket) -> None:
    moto_bucket.put({f"pre/{number:04}.txt": b"" for number in range(25)})
    moto_bucket.put({"pre/folder/": b"", "pre-sibling.txt": b"", "pre/.hidden": b"", "pre/a//b": b"", "pre/../x": b""})
    assert _listed(bucket_backend, 10) == [f"{number:04}.txt" for number in range(25)]


def _listed(backend: S3Backend, size: int) -> list[str]:
    events = backend.client.get().meta.events
    events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": size})
    return sorted(stat.path for stat in backend.walk())


def test_keys_of_any_spelling_survive_a_listing(bucket_backend: S3Backend, moto_bucket: S3Bucket) -> None:
    names = {"a b.txt", "a+b.txt", "100%.txt", "\u2603.txt", "a&b<c>.txt", "%41.txt"}
    moto_bucket.put({f"pre/{name}": b"x" for name in names})
    assert {stat.path for stat in bucket_backend.walk()} == names


def test_a_missing_bucket_is_not_an_empty_one(bucket_backend: S3Backend, moto_bucket: S3Bucket) -> None:
    nowhere = S3Backend("no-such-bucket-here", options=bucket_backend.options)
    with pytest.raises(BackendUnavailable, match="NoSuchBucket"):
        list(nowhere.walk())
    with pytest.raises(BackendUnavailable):
        nowhere.open("a.css")
    nowhere.client.close()


def test_forbidden_is_not_missing_unless_the_mount_says_so(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind
    proxy.use(FORBIDDEN)
    with pytest.raises(BackendForbidden):
        backend.open("a.css")
    may_not_list = open_url(backend.label, {**_options(backend), "forbidden_is_missing": True})
    with pytest.raises(AssetNotFound):
        may_not_list.open("a.css")
    may_not_list.client.close()


def test_expired_credentials_are_looked_up_afresh_once(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind
    first = backend.client.get()
    proxy.use(EXPIRED_TOKEN, times=1)
    assert read_bytes(backend, "a.css") == b"body"
    assert backend.client.get() is not first
    proxy.use(EXPIRED_TOKEN)
    before = len(proxy.requests)
    for _ in range(3):
        with pytest.raises(BackendCredentials):
            backend.open("a.css")
    assert len(proxy.requests) - before == 3, "no second renewal within ten seconds"


def test_too_slow_is_a_timeout_and_refused_is_unavailable(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind
    proxy.use(Delay(2))
    with pytest.raises(BackendTimeout):
        backend.stat("a.css")
    proxy.use(REFUSE)
    with pytest.raises(BackendUnavailable) as caught:
        backend.stat("a.css")
    assert not isinstance(caught.value, BackendTimeout)


def test_one_read_is_one_request(behind: tuple[S3Backend, FaultProxy]) -> None:
    backend, proxy = behind
    proxy.requests.clear()
    assert read_bytes(backend, "a.css") == b"body"
    assert [each.method for each in proxy.requests] == ["GET"]


def test_a_public_bucket_is_read_without_credentials(moto_bucket: S3Bucket) -> None:
    moto_bucket.put({"a.css": b"body"}, ACL="public-read")
    backend = open_url(moto_bucket.url, {"endpoint_url": moto_bucket.server.endpoint_url, "anon": True})
    assert read_bytes(backend, "a.css") == b"body"
    backend.client.close()


def _options(backend: S3Backend) -> dict[str, object]:
    return {each.name: getattr(backend.options, each.name) for each in fields(S3Options)}


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("s3://", {}, "names no bucket"),
        ("s3:///x", {}, "names no bucket"),
        ("s3://bucket/../x", {}, "segment"),
        ("s3://bucket", {"colour": "red"}, "know no 'colour'"),
        ("s3://bucket", {"addressing_style": "odd"}, "'virtual' or 'path'"),
        ("s3://bucket", {"attempts": 0}, "above zero"),
        ("s3://bucket", {"key": "half"}, "go together"),
        ("s3://bucket", {"profile": "nobody"}, "cannot be made"),
        ("s3://bucket", {"endpoint_url": "no url"}, "cannot be made"),
    ],
)
def test_a_malformed_root_or_option_is_told_at_wiring(url: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_url(url, options)


def test_secrets_are_in_no_representation() -> None:
    options = S3Options.of({"key": "AKIA", "secret": "very-secret", "token": "very-session"})
    assert "very" not in repr(options)


@pytest.mark.parametrize("options", [S3Options, GCSOptions, AzureOptions])
def test_the_documentation_names_every_option(options: type[BucketOptions]) -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/buckets.md").read_text("utf-8")
    assert [each.name for each in fields(options) if f"`{each.name}`" not in page] == []
