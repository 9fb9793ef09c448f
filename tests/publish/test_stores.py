"""What object stores differ in: checksums, conditions, credentials that end, responses that are lost."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore.backends.base import BytesFile, WriteOptions, read_bytes
from assetstore.backends.s3.backend import S3Backend
from assetstore.errors import AssetStoreError, PublishConflict
from assetstore.mounts.mount import Mount
from assetstore.publish import lock, publish
from assetstore.publish.layout import open_target
from assetstore.publish.lock import LOCK
from assetstore.publish.releases import CURRENT, Releases
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.store import AssetStore
from servers.misbehaving import MisbehavingS3, error
from waiting import eventually

Open = Callable[..., S3Backend]


@pytest.fixture
def store(misbehaving_s3: MisbehavingS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[MisbehavingS3]:
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.15)
    misbehaving_s3.faults = set()
    misbehaving_s3.requests.clear()
    yield misbehaving_s3
    misbehaving_s3.faults = set()
    misbehaving_s3.before = None


@pytest.fixture
def bucket(store: MisbehavingS3, moto_server: Any) -> Iterator[str]:
    client = moto_server.client()
    name = f"stores-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield name
    client.close()


@pytest.fixture
def opened(store: MisbehavingS3, bucket: str) -> Iterator[Open]:
    """Opens the target as a new process does."""
    made: list[S3Backend] = []

    def open_(**options: Any) -> S3Backend:
        given = {
            "endpoint_url": store.endpoint_url,
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
            "region_name": "us-east-1",
            "addressing_style": "path",
            **options,
        }
        target = open_target(f"s3://{bucket}/site", {name: value for name, value in given.items() if value is not None})
        assert isinstance(target, S3Backend)
        made.append(target)
        return target

    yield open_
    for each in made:
        each.client.close()


def puts(store: MisbehavingS3, name: str = "") -> list[dict[str, str]]:
    return [headers for method, path, headers in store.requests if method == "PUT" and name in path]


def mount_of(root: Path, fingerprint: Any = "content") -> Mount:
    return AssetStore({}).static("/assets/", root=root, name="assets", fingerprint=fingerprint)


def test_a_store_that_refuses_checksums_gets_content_md5_from_then_on(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    store.faults = {"refuses checksums"}
    assert publish(mount_of(asset_tree), opened()).new == 18
    with_checksum = [headers for headers in puts(store) if "x-amz-checksum-sha256" in headers]
    assert len(with_checksum) == 1
    assert all("content-md5" in headers for headers in puts(store)[1:])


def test_a_large_object_goes_to_a_store_that_refuses_checksums(
    store: MisbehavingS3, opened: Open, asset_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assetstore.backends.s3.upload.PART_BYTES", 5 * 1024 * 1024)
    (asset_tree / "film.bin").write_bytes(b"x" * (6 * 1024 * 1024))
    store.faults = {"refuses checksums"}
    target = opened()
    publish(mount_of(asset_tree), target)
    assert len(read_bytes(target, "film.bin")) == 6 * 1024 * 1024


def test_conditions_that_are_accepted_and_ignored_are_found_out_by_a_write_that_must_fail(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    store.faults = {"ignores conditions"}
    target = opened()
    publish(mount_of(asset_tree), target)
    assert (target.conditional_creates, target.conditional_replaces) == (False, False)
    assert puts(store, LOCK)


def test_conditions_are_proven_once_and_no_later_process_takes_the_lock_for_want_of_proof(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    publish(mount_of(asset_tree), opened())
    probes = [headers for headers in puts(store, "probe.json") if {"if-match", "if-none-match"} & set(headers)]
    assert len(probes) == 2
    for content in ("second", "third"):
        store.requests.clear()
        (asset_tree / "robots.txt").write_text(content)
        publish(mount_of(asset_tree), opened())
        assert not puts(store, "probe.json")
        assert not puts(store, LOCK)
        assert "if-match" in puts(store, CURRENT)[0]


def test_proof_of_another_store_is_no_proof(store: MisbehavingS3, opened: Open, asset_tree: Path) -> None:
    publish(mount_of(asset_tree), opened())
    store.faults = {"ignores conditions"}
    elsewhere = opened(endpoint_url=store.endpoint_url.replace("127.0.0.1", "localhost"))
    (asset_tree / "robots.txt").write_text("second")
    publish(mount_of(asset_tree), elsewhere)
    assert (elsewhere.conditional_creates, elsewhere.conditional_replaces) == (False, False)


@pytest.mark.parametrize("fault", ["", "ignores conditions", "has no conditions"])
def test_of_two_publishers_at_once_exactly_one_is_told_that_it_won(
    store: MisbehavingS3, opened: Open, asset_tree: Path, tmp_path: Path, fault: str
) -> None:
    store.faults = {fault} - {""}
    publish(mount_of(asset_tree), opened())
    store.faults |= {"slow switch"}
    told: dict[int, str] = {}

    def run(number: int) -> None:
        root = tmp_path / f"build{number}"
        root.mkdir()
        (root / "app.css").write_text(f"build {number}")
        try:
            told[number] = publish(mount_of(root), opened()).manifest.release
        except PublishConflict:
            told[number] = ""

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    store.faults -= {"slow switch"}
    state = Releases(opened()).require()
    assert {release for release in told.values() if release} <= {each.id for each in state.releases}
    assert state.current.release in told.values()
    [winner] = [number for number, release in told.items() if release == state.current.release]
    assert read_bytes(opened(), "app.css").decode() == f"build {winner}"


def test_a_switch_whose_response_is_lost_is_live_and_said_to_be(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    publish(mount_of(asset_tree), opened())
    (asset_tree / "robots.txt").write_text("second")
    store.lose_next(CURRENT)
    done = publish(mount_of(asset_tree), opened())
    assert done.released
    state = Releases(opened()).require()
    assert (state.current.release, len(state.releases)) == (done.manifest.release, 2)


def test_a_conditional_write_that_runs_into_another_is_tried_again(
    store: MisbehavingS3, opened: Open, asset_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assetstore.backends.s3.upload.backoff_seconds", lambda *_, **__: 0.0)
    answers = iter([error(409, "ConditionalRequestConflict", "running")] * 3)
    store.before = lambda method, path, headers: next(answers, None) if CURRENT in path and method == "PUT" else None
    assert publish(mount_of(asset_tree), opened()).released
    assert len(puts(store, CURRENT)) == 4


@pytest.mark.parametrize("workers", [1, 16])
def test_credentials_that_are_rotated_while_it_runs_are_taken_up_by_every_worker(
    store: MisbehavingS3, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def rotate(number: int) -> None:
        file.write_text(f"[default]\naws_access_key_id=KEY{number}\naws_secret_access_key=s\naws_session_token=t\n")

    rotate(1)
    root = tmp_path / "root"
    root.mkdir()
    for number in range(40):
        (root / f"f{number}.txt").write_text(str(number))
    lock, seen = threading.Lock(), [0]

    def expire(method: str, path: str, headers: dict[str, str]) -> Any:
        with lock:
            seen[0] += method == "PUT" and "/f" in path
            if seen[0] == 15:
                rotate(2)
            if seen[0] >= 15 and "KEY1/" in headers.get("authorization", ""):
                return error(400, "ExpiredToken", "The provided token has expired.")
        return None

    store.before = expire
    target = opened(aws_access_key_id=None, aws_secret_access_key=None)
    assert publish(mount_of(root), target, workers=workers).new == 80


def test_a_bucket_whose_requester_pays_is_read_and_written(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    def refuse(method: str, path: str, headers: dict[str, str]) -> Any:
        paid = headers.get("x-amz-request-payer") == "requester" or "x-amz-request-payer=requester" in path.lower()
        return None if paid or method == "DELETE" else error(403, "AccessDenied", "Access Denied")

    store.before = refuse
    with pytest.raises(AssetStoreError):
        publish(mount_of(asset_tree), opened())
    assert publish(mount_of(asset_tree), opened(requester_pays=True)).new == 18


def test_publishing_waits_longer_than_serving(opened: Open) -> None:
    options = opened().options
    assert (options.read_timeout_seconds, options.attempts) == (90.0, 5)
    assert opened(read_timeout_seconds=7).options.read_timeout_seconds == 7


def test_types_and_cache_control_are_those_of_the_mount(
    opened: Open, moto_server: Any, bucket: str, tmp_path: Path
) -> None:
    files = {
        "film.mpd": b"<MPD/>",
        "old.js": b"// Jos\xe9\n",
        "new.js": b"// Jos\xc3\xa9\n",
        "logo.svgz": b"\x1f\x8b",
        "assets/index-Bk3jT9aQ.js": b"1",
    }
    for path, data in files.items():
        (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / path).write_bytes(data)
    mount = AssetStore({}).static(
        "/assets/",
        root=tmp_path / "root",
        name="assets",
        fingerprint="content",
        media_types={".mpd": "application/x-own"},
        max_age={"*.js": 60},
        immutable="vite",
    )
    target = opened()
    publish(mount, target)
    client = moto_server.client()
    found = {path: client.head_object(Bucket=bucket, Key=f"site/{path}") for path in files}
    client.close()
    assert {path: each["ContentType"] for path, each in found.items()} == {
        "film.mpd": "application/x-own",
        "old.js": "text/javascript",
        "new.js": "text/javascript; charset=utf-8",
        "logo.svgz": "image/svg+xml",
        "assets/index-Bk3jT9aQ.js": "text/javascript; charset=utf-8",
    }
    assert found["logo.svgz"]["ContentEncoding"] == "gzip"
    assert found["new.js"]["CacheControl"] == "max-age=60, public, must-revalidate"
    assert found["film.mpd"]["CacheControl"] == "max-age=0, public, must-revalidate"
    assert "immutable" in found["assets/index-Bk3jT9aQ.js"]["CacheControl"]
    assert not publish(mount, opened()).released


def test_a_rollback_stores_the_headers_of_plain_names_again(
    opened: Open, moto_server: Any, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    mount = AssetStore({}).static(
        "/assets/",
        root=tmp_path / "root",
        name="assets",
        fingerprint="content",
        max_age={"*.svg": 60},
        headers={"*.svg": {"Content-Disposition": "inline"}},
    )
    client = moto_server.client()
    heads = []
    for text in ("<svg/>", "<svg></svg>"):
        (tmp_path / "root/a.svg").write_text(text)
        publish(mount, opened())
        heads.append(client.head_object(Bucket=bucket, Key="site/a.svg"))
    rollback(opened(), PREVIOUS)
    again = client.head_object(Bucket=bucket, Key="site/a.svg")
    client.close()
    for name in ("ContentType", "CacheControl", "ContentDisposition", "Metadata", "ETag"):
        assert again[name] == heads[0][name], name
    (tmp_path / "root/a.svg").write_text("<svg/>")
    assert not publish(mount, opened()).released


@pytest.mark.parametrize("fault", ["", "ignores conditions", "has no conditions"])
def test_an_object_whose_name_is_the_digest_of_its_bytes_costs_one_request(
    store: MisbehavingS3, opened: Open, asset_tree: Path, fault: str
) -> None:
    store.faults = {fault} - {""}
    publish(mount_of(asset_tree), opened())
    sent = Counter(path for method, path, _ in store.requests if "/.assetstore/" not in path and "?" not in path)
    assert len(sent) == 18
    assert set(sent.values()) == {1}


def test_names_made_of_times_are_looked_at_before_they_are_written_where_the_store_has_no_conditions(
    store: MisbehavingS3, opened: Open, asset_tree: Path
) -> None:
    store.faults = {"ignores conditions"}
    publish(mount_of(asset_tree, fingerprint=True), opened())
    heads = [path for method, path, _ in store.requests if method == "HEAD" and "/.assetstore/" not in path]
    assert len(heads) == 9
    assert all(re.search(r"-[0-9a-f]{64}", path) for path in heads)


def gets(store: MisbehavingS3) -> int:
    """How many objects were looked at or read, but for those that publishing keeps for itself."""
    return sum(
        method in {"GET", "HEAD"} and "/.assetstore/" not in path and "list-type" not in path
        for method, path, _ in store.requests
    )


@pytest.mark.parametrize("conditions", ["", "ignores conditions"])
def test_etags_of_sse_kms_that_are_no_md5_are_validators_all_the_same(
    store: MisbehavingS3, opened: Open, asset_tree: Path, conditions: str
) -> None:
    store.faults = {"encrypts", conditions} - {""}
    kms = {"put_arguments": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/assets"}}
    first = publish(mount_of(asset_tree), opened(**kms))
    assert {headers.get("x-amz-server-side-encryption") for headers in puts(store)} == {"aws:kms"}
    assert {headers.get("x-amz-server-side-encryption-aws-kms-key-id") for headers in puts(store)} == {"alias/assets"}
    md5 = hashlib.md5((asset_tree / "robots.txt").read_bytes(), usedforsecurity=False).hexdigest()
    [recorded, _] = first.manifest.entries["robots.txt"].stored
    assert recorded.validator == opened().stat(recorded.path).validator != md5

    store.requests.clear()
    assert not publish(mount_of(asset_tree), opened(**kms)).released
    assert gets(store) == 0

    # Another tool writes the same bytes: another ETag, so they are looked at once, and no release is made.
    plain = asset_tree / "robots.txt"
    opened().write("robots.txt", BytesFile.of("robots.txt", plain.read_bytes()), WriteOptions("text/plain", "no-store"))
    store.requests.clear()
    again = publish(mount_of(asset_tree), opened(**kms))
    assert {row.stored.path for row in again.plan.rows if row.writes} <= {
        "robots.txt"
    }  # its headers, if they are others
    assert gets(store) == 1

    before = plain.read_bytes()
    plain.write_text("second")
    publish(mount_of(asset_tree), opened(**kms))
    rollback(opened(**kms), PREVIOUS)
    assert read_bytes(opened(), "robots.txt") == before
    state = Releases(opened()).require()
    for each in state.current.objects():
        assert hashlib.sha256(read_bytes(opened(), each.path)).hexdigest() == each.sha256
    plain.write_bytes(before)
    store.requests.clear()
    assert not publish(mount_of(asset_tree), opened(**kms)).released
    assert gets(store) == 0


def test_files_of_a_bucket_with_sse_kms_are_served_by_their_release(
    store: MisbehavingS3, opened: Open, bucket: str, asset_tree: Path
) -> None:
    store.faults = {"encrypts"}
    entries = publish(mount_of(asset_tree), opened()).manifest.entries
    options = {
        "endpoint_url": store.endpoint_url,
        "key": "testing",
        "secret": "testing",
        "region": "us-east-1",
        "addressing_style": "path",
    }
    with AssetStore({}) as assets:
        assets.static("/assets/", root=f"s3://{bucket}/site", name="assets", storage_options=options)
        with TestClient(Starlette(routes=assets.routes, lifespan=assets.lifespan)) as client:
            for path, entry in entries.items():
                name = entry.fingerprint
                assert name is not None
                assert eventually(lambda path=path, name=name: name in assets.url_for("assets", file=path))
                url = str(assets.url_for("assets", file=path))
                response = client.get(url, headers={"Accept-Encoding": "identity"})
                assert (response.status_code, hashlib.sha256(response.content).hexdigest()) == (200, entry.sha256)
                assert "immutable" in response.headers["cache-control"]
