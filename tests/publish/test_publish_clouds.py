"""One release on every storage: equal names, bytes, headers and entity tags, from a directory to each cloud."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx2 as httpx
import pytest
from starlette.applications import Starlette

import storages
from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.check import check
from assetstore.check.probes import Expect
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.prune import Keep
from assetstore.publish.prune import apply as apply_prune
from assetstore.publish.prune import plan as plan_prune
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.store import AssetStore
from servers.threads import served
from waiting import eventually

FILES = {"css/app.css": b"a { color: red }\n" * 200, "js/app.js": b"export const a = 1\n", "cat.jpg": b"\xff\xd8cat"}
CLOUDS = {
    "directory": storages.local,
    "S3": storages.s3_over_a_socket,
    "S3 on Swift": partial(storages.s3_over_a_socket, server="swift"),
    "GCS": storages.gcs,
    "Azure": storages.azure,
    "WebDAV": storages.webdav,
}
#: Swift is started once in a run, in the process that has its tests.
pytestmark = pytest.mark.usefixtures("swift_server")
#: Headers that are about the connection, the moment and the storage; all others are the same wherever a file lies.
OTHER = {"date", "server", "cache-status", "age", "last-modified"}
#: What records no digest with a file: its entity tags are made of times.
OF_TIMES = {"directory", "WebDAV"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        file = tmp_path / "assets" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (1_750_000_000.25, 1_750_000_000.25))
    return tmp_path / "assets"


@pytest.fixture
def targets(request: pytest.FixtureRequest) -> Iterator[dict[str, WritableBackend]]:
    with ExitStack() as exits:
        found: dict[str, WritableBackend] = {}
        for name, make in CLOUDS.items():
            backend = exits.enter_context(make({}, request)).backend
            assert isinstance(backend, WritableBackend)
            found[name] = backend
        yield found


def mount_of(root: Path) -> Mount:
    return AssetStore({}).static("/assets/", root=root, name="assets")


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]
    tag: str | None


def answers_of(base: str, urls: list[str]) -> dict[str, Answer]:
    """The answer to each request for the files behind *urls*, by URL and headers, through a real server."""
    found = {}
    with httpx.Client(base_url=base) as client:
        for url in urls:
            for sent in ({}, {"range": "bytes=1-3"}, {"accept-encoding": "identity"}, {"if-none-match": "*"}):
                answer = client.get(url, headers=sent)
                headers = {name: value for name, value in answer.headers.items() if name not in OTHER}
                tag = headers.pop("etag", None)
                found[f"{url} {sent}"] = Answer(answer.status_code, answer.content, headers, tag)
    return found


def test_one_release_is_the_same_on_every_storage(root: Path, targets: dict[str, WritableBackend]) -> None:
    """Equal names, bytes, headers and content-based entity tags, and nothing that ``check`` finds fault with."""
    published = {name: publish(mount_of(root), target) for name, target in targets.items()}
    names = {
        name: {path: entry.fingerprinted_path for path, entry in found.manifest.entries.items()}
        for name, found in published.items()
    }
    assert len(names["S3"]) == len(FILES)
    assert all(each == names["directory"] for each in names.values())
    time.sleep(1.1)  # a date is a strong validator only once its second is over
    answers: dict[str, dict[str, Answer]] = {}
    with ExitStack() as exits:
        for name, target in targets.items():
            store = exits.enter_context(AssetStore({}))
            store.static("/assets/", root=target, name="assets")
            base = exits.enter_context(served(Starlette(routes=store.routes, lifespan=store.lifespan)))
            entries = published[name].manifest.entries
            assert eventually(lambda store=store: "-" in store.url_for("assets", file="cat.jpg")), name
            report = check(f"{base}/assets/", entries, expect=Expect(application=True))
            assert report.faults == [], name
            assert (report.files, report.requests > len(FILES)) == (len(FILES), True)
            urls = [store.url_for("assets", file=path) for path in FILES]
            assert urls == [f"/assets/{names['directory'][path]}" for path in FILES], name
            answers[name] = answers_of(base, [*urls, *(f"/assets/{path}" for path in FILES)])
    for name, each in answers.items():
        for request, answer in each.items():
            expected = answers["S3"][request]
            if name in OF_TIMES:
                answer = answer._replace(tag=expected.tag)
            assert answer == expected, (name, request)


def test_an_unchanged_tree_is_no_release_and_a_change_is_one(root: Path, targets: dict[str, WritableBackend]) -> None:
    for name, target in targets.items():
        assert publish(mount_of(root), target).released, name
        again = publish(mount_of(root), target)
        assert (again.released, again.new) == (False, 0), name
    (root / "js/app.js").write_bytes(b"export const a = 2\n")
    for name, target in targets.items():
        assert publish(mount_of(root), target).released, name
        live = json.loads(read_bytes(target, ".assetstore/current.json"))
        assert live, name


def test_rollback_and_prune_work_on_every_storage(root: Path, targets: dict[str, WritableBackend]) -> None:
    for name, target in targets.items():
        (root / "js/app.js").write_bytes(b"export const a = 1\n")
        first = publish(mount_of(root), target).manifest
        (root / "js/app.js").write_bytes(b"export const a = 2\n")
        publish(mount_of(root), target)
        assert read_bytes(target, "js/app.js").endswith(b"2\n"), name
        assert rollback(target, PREVIOUS).release == first.release, name
        apply_prune(plan_prune(target, Keep(count=1), datetime.now(UTC)), target)
        for entry in first.entries.values():
            read_bytes(target, entry.fingerprinted_path)
