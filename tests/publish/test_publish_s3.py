"""Publishing to a real S3 server over a socket: its requests, its headers, its races, and being killed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.backends.s3.backend import S3Backend
from assetstore.errors import PublishConflict, PublishError
from assetstore.mounts.mount import Mount
from assetstore.names.fingerprint import split
from assetstore.publish import publish
from assetstore.publish.plan import Reason
from assetstore.publish.prune import Keep
from assetstore.publish.prune import apply as apply_prune
from assetstore.publish.prune import plan as plan_prune
from assetstore.publish.releases import CURRENT, Releases
from assetstore.store import AssetStore
from servers.processes import PROJECT
from servers.s3 import S3Bucket, bucket_on


@pytest.fixture
def s3_target(s3_bucket: S3Bucket) -> Iterator[S3Backend]:
    backend = open_backend(f"{s3_bucket.url}/site", s3_bucket.server.options)
    assert isinstance(backend, S3Backend)
    yield backend
    backend.client.close()


@pytest.fixture
def requests(s3_target: S3Backend) -> list[str]:
    """The name of each operation that is sent to the server, from now on."""
    sent: list[str] = []
    s3_target.client.get().meta.events.register(
        "before-send.s3", lambda request, event_name, **_: sent.append(event_name)
    )
    return sent


def operations(sent: list[str]) -> Counter[str]:
    return Counter(name.rpartition(".")[2] for name in sent)


def test_a_run_without_changes_is_two_requests(mount: Mount, s3_target: S3Backend, requests: list[str]) -> None:
    first = publish(mount, s3_target)
    # Two listings: before, and to see that nobody else wrote plain names meanwhile. Beside the objects, the journal,
    # three probes of conditional writes, the manifest and the record are written, and the journal is deleted.
    assert operations(requests) == {
        "GetObject": 1,
        "HeadObject": 1,
        "ListObjectsV2": 2,
        "PutObject": first.new + 6,
        "DeleteObject": 1,
    }
    requests.clear()
    second = publish(mount, s3_target)
    assert operations(requests) == {"GetObject": 1, "ListObjectsV2": 1}
    assert not second.released


def test_objects_carry_the_headers_that_a_cdn_needs(
    make_mount: Callable[..., Mount], s3_target: S3Backend, s3_bucket: S3Bucket
) -> None:
    mount = make_mount(headers={"*.svg": {"Content-Disposition": "inline"}})
    entry = publish(mount, s3_target).manifest.entries["images/grüße.svg"]

    def head(path: str) -> Any:
        return s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=f"site/{path}")

    named, plain = head(entry.fingerprinted_path), head(entry.path)
    assert named["CacheControl"] == "max-age=31536000, public, immutable"
    assert plain["CacheControl"] == "max-age=0, public, must-revalidate"
    for each in (named, plain):
        assert each["ContentType"] == "image/svg+xml; charset=utf-8"
        assert each["ContentDisposition"] == "inline"
        assert each["Metadata"] == {"assetstore-sha256": entry.sha256, "assetstore-fingerprint": entry.fingerprint}


def test_the_server_is_given_a_checksum_to_verify(mount: Mount, s3_target: S3Backend) -> None:
    checksums: list[str] = []

    def note(request: Any, **_: Any) -> None:
        if request.method == "PUT":
            checksums.append(str(request.headers.get("x-amz-checksum-sha256", "")))

    s3_target.client.get().meta.events.register("before-send.s3.PutObject", note)
    done = publish(mount, s3_target)
    assert all(checksums)
    assert len(checksums) == done.new + 6


def test_encoded_siblings_and_encoded_files_are_marked_as_such(
    make_mount: Callable[..., Mount], asset_tree: Path, s3_target: S3Backend, s3_bucket: S3Bucket
) -> None:
    (asset_tree / "css/app.css").write_text("a { color: red }\n" * 200)
    entry = publish(make_mount(), s3_target, siblings=("br", "gzip")).manifest.entries["css/app.css"]
    for suffix, coding in ((".br", "br"), (".gz", "gzip")):
        stored = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=f"site/{entry.fingerprinted_path}{suffix}")
        assert stored["ContentEncoding"] == coding
        assert stored["ContentType"] == "text/css; charset=utf-8"
        assert stored["ContentLength"] < entry.size
    entry = publish(make_mount(), s3_target, coding="gzip").manifest.entries["css/app.css"]
    stored = s3_bucket.client.head_object(Bucket=s3_bucket.name, Key=f"site/{entry.fingerprinted_path}")
    assert stored["ContentEncoding"] == "gzip"
    assert publish(make_mount(), s3_target, coding="gzip").new == 0


def test_the_pointer_is_moved_by_a_conditional_write(
    mount: Mount, asset_tree: Path, s3_target: S3Backend, s3_bucket: S3Bucket
) -> None:
    publish(mount, s3_target)
    seen = Releases(s3_target).require()
    (asset_tree / "robots.txt").write_text("by somebody else")
    publish(mount, s3_target)
    with pytest.raises(PublishConflict, match="somebody else changed the live release"):
        Releases(s3_target).move(seen, seen)
    keys = {row["Key"] for row in s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]}
    assert "site/.assetstore/lock.json" not in keys


def test_an_object_that_was_overwritten_by_others_is_noticed_in_the_listing(
    mount: Mount, asset_tree: Path, s3_target: S3Backend, s3_bucket: S3Bucket
) -> None:
    publish(mount, s3_target)
    size = (asset_tree / "css/app.css").stat().st_size
    s3_bucket.put({"site/css/app.css": b"z" * size})
    done = publish(mount, s3_target)
    assert [row.stored.path for row in done.plan.rows if row.reason is Reason.CHANGED] == ["css/app.css"]
    assert read_bytes(s3_target, "css/app.css") == (asset_tree / "css/app.css").read_bytes()


def test_many_publishers_at_once_leave_one_whole_live_release(
    make_mount: Callable[..., Mount], s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    def run(number: int) -> None:
        root = tmp_path / f"build{number}"
        root.mkdir()
        for name in ("a.css", "b.css", "c.css"):
            (root / name).write_text(f"{name} of build {number}")
        mount = AssetStore({}).static("/assets/", root=root, fingerprint="content")
        backend = open_backend(f"{s3_bucket.url}/race", s3_bucket.server.options)
        assert isinstance(backend, WritableBackend)
        barrier.wait()
        try:
            publish(mount, backend, workers=2)
            won.append(number)
        except PublishConflict:
            pass

    barrier, won = threading.Barrier(4), list[int]()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target = open_backend(f"{s3_bucket.url}/race", s3_bucket.server.options)
    assert isinstance(target, WritableBackend)
    state = Releases(target).require()
    assert len(state.releases) == len(won) >= 1
    live = {read_bytes(target, entry.fingerprinted_path).decode()[-1] for entry in state.current.entries.values()}
    assert len(live) == 1


SCRIPT = """
import json, sys
from assetstore.backends import open_backend
from assetstore.publish import publish
from assetstore.store import AssetStore

root, to, options = sys.argv[1:]
mount = AssetStore({}).static("/assets/", root=root, name="assets", fingerprint="content")
target = open_backend(to, json.loads(options) or None, must_exist=False)
print("ready", flush=True)
publish(mount, target, workers=4)
print("done", flush=True)
"""


@pytest.fixture(params=["folder", "moto", pytest.param("localstack", marks=pytest.mark.localstack), "swift"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A target's URL and its storage options, for processes that are killed."""
    if request.param == "folder":
        yield str(tmp_path / "target"), {}
        return
    with bucket_on(request.getfixturevalue(f"{request.param}_server")) as bucket:
        yield f"{bucket.url}/killed", bucket.server.options


@pytest.mark.timeout(300)
def test_a_publish_that_is_killed_at_any_moment_leaves_the_live_site_whole_and_is_finished_by_the_next(
    place: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    to, options = place
    root = tmp_path / "assets"
    root.mkdir()
    target = open_backend(to, options or None, must_exist=False)
    assert isinstance(target, WritableBackend)
    write(root, "first")
    mount = AssetStore({}).static("/assets/", root=root, name="assets", fingerprint="content")
    live = publish(mount, target).manifest
    argv = [sys.executable, "-c", SCRIPT, str(root), to, json.dumps(options)]
    rng, killed = random.Random(5), 0
    enough = 2 if to.startswith("s3:") else 5  # the code is the same, and a server of its own kind takes its time
    full = duration(argv, root, "second")
    for attempt in range(20):
        if killed == enough:
            break
        write(root, f"build {attempt}")
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(full * rng.random())
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            killed += 1
        else:  # it was quicker than the one that was measured
            full *= 0.7
        process.stdout.close()
        now = Releases(target).require().current
        assert_whole(target, now, plain=False)
        assert_whole(target, live, plain=False)  # what pages that are already out refer to
        live = now
    assert killed == enough
    last = publish(AssetStore({}).static("/assets/", root=root, name="assets", fingerprint="content"), target)
    assert_whole(target, last.manifest, plain=True)
    again = publish(AssetStore({}).static("/assets/", root=root, name="assets", fingerprint="content"), target)
    assert (again.new, again.released) == (0, False)
    # No object is left that nobody remembers.
    found = plan_prune(target, Keep(1), datetime.now(UTC) + timedelta(days=2))
    apply_prune(found, target)
    assert {stat.path for stat in target.walk()} == {each.path for each in last.manifest.objects()}


def write(root: Path, build: str) -> None:
    for number in range(20):
        (root / f"file{number}.js").write_text(f"// {number}, {build}\n" * 50)


def duration(argv: list[str], root: Path, build: str) -> float:
    """How long a whole publish takes after its imports."""
    write(root, build)
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    began = time.monotonic()
    assert process.stdout.readline() == b"done\n"
    process.stdout.close()
    process.wait()
    return time.monotonic() - began


def assert_whole(target: WritableBackend, manifest: Any, *, plain: bool) -> None:
    for each in manifest.objects():
        if plain or split(each.path)[1] is not None:
            assert hashlib.sha256(read_bytes(target, each.path)).hexdigest() == each.sha256, each.path


def test_what_arrived_before_a_kill_is_not_sent_again(mount: Mount, s3_target: S3Backend, requests: list[str]) -> None:
    sent = 0

    def die(**_: Any) -> None:
        nonlocal sent
        sent += 1
        if sent >= 10:
            raise ConnectionError("killed")

    events = s3_target.client.get().meta.events
    events.register("before-send.s3.PutObject", die)
    with pytest.raises(PublishError, match="what arrived is not sent again"):
        publish(mount, s3_target, workers=1)
    events.unregister("before-send.s3.PutObject", die)
    requests.clear()
    done = publish(mount, s3_target, workers=1)
    arrived = 5  # of ten requests the first four were the journal and three probes, and the last failed
    assert operations(requests)["PutObject"] == len(done.plan.rows) - arrived + 3
    assert operations(requests)["HeadObject"] == arrived + 1  # and the release record before plain names are written
    assert read_bytes(s3_target, CURRENT)


def test_a_server_without_conditional_writes_is_locked_instead(
    mount: Mount, asset_tree: Path, s3_target: S3Backend, s3_bucket: S3Bucket, requests: list[str]
) -> None:
    refused: list[str] = []

    def not_implemented(request: Any, **_: Any) -> AWSResponse | None:
        if not {"if-none-match", "if-match"} & {name.lower() for name in request.headers}:
            return None
        refused.append(request.url)
        body = b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>"
        raw = type("Raw", (), {"stream": lambda self: iter([body]), "read": lambda self: body})()
        return AWSResponse(request.url, 501, {}, raw)

    s3_target.client.get().meta.events.register_last("before-send.s3.PutObject", not_implemented)
    first = publish(mount, s3_target)
    assert first.released
    assert len(refused) <= 17  # those that were under way when the first was refused; never asked again
    assert s3_target.conditional_creates is False
    (asset_tree / "robots.txt").write_text("second")
    requests.clear()
    assert publish(mount, s3_target).released
    assert operations(requests)["DeleteObject"] == 2  # the lock's, and the journal's
    assert len(Releases(s3_target).require().releases) == 2
    with pytest.raises(PublishConflict):
        Releases(s3_target).move(None, replace(Releases(s3_target).require(), history=()))
    keys = {row["Key"] for row in s3_bucket.client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]}
    assert "site/.assetstore/lock.json" not in keys


def test_a_header_that_s3_has_no_place_for_is_told_once(
    make_mount: Callable[..., Mount], s3_target: S3Backend, caplog: pytest.LogCaptureFixture
) -> None:
    mount = make_mount(headers={"*": {"Content-Security-Policy": "sandbox"}})
    with caplog.at_level(logging.WARNING, "assetstore"):
        publish(mount, s3_target)
    told = [each.message for each in caplog.records if each.name == "assetstore"]
    assert len(told) == 1
    assert "Content-Security-Policy" in told[0]
    assert "let the CDN add it" in told[0]


def test_a_real_server_without_conditional_writes_is_published_to(
    mount: Mount, asset_tree: Path, swift_bucket: S3Bucket
) -> None:
    target = open_backend(f"{swift_bucket.url}/site", swift_bucket.server.options)
    assert isinstance(target, S3Backend)
    try:
        first = publish(mount, target)
        assert not publish(mount, target).released
        (asset_tree / "robots.txt").write_text("second")
        assert publish(mount, target).new == 2
        assert False in {target.conditional_creates, target.conditional_replaces}
        with pytest.raises(PublishConflict):
            Releases(target).move(None, replace(Releases(target).require(), history=()))
        assert_whole(target, first.manifest, plain=False)
        apply_prune(plan_prune(target, Keep(1), datetime.now(UTC)), target)
        assert [each.id for each in Releases(target).require().releases] == [Releases(target).require().current.release]
    finally:
        target.client.close()
