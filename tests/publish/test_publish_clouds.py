"""One release on every storage: equal names, bytes, headers and entity tags, from a directory to each cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import storages
from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.prune import Keep
from assetstore.publish.prune import apply as apply_prune
from assetstore.publish.prune import plan as plan_prune
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.store import AssetStore

FILES = {"css/app.css": b"a { color: red }\n" * 200, "js/app.js": b"export const a = 1\n", "cat.jpg": b"\xff\xd8cat"}
CLOUDS = {"directory": storages.local, "S3": storages.s3_over_a_socket, "GCS": storages.gcs, "Azure": storages.azure}
#: Headers that are about the file, and have to be the same wherever it lies.
SAME = ("content-type", "cache-control", "content-length", "accept-ranges", "content-encoding", "vary")


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


def test_one_release_is_the_same_on_every_storage(
    root: Path, targets: dict[str, WritableBackend], tmp_path: Path
) -> None:
    published = {name: publish(mount_of(root), target) for name, target in targets.items()}
    names = {
        name: {path: entry.fingerprinted_path for path, entry in found.manifest.entries.items()}
        for name, found in published.items()
    }
    assert len(names["S3"]) == len(FILES)
    assert all(each == names["directory"] for each in names.values())
    answers: dict[str, dict[str, tuple[int, bytes, dict[str, str], str]]] = {}
    for name, target in targets.items():
        manifest = tmp_path / f"{name}.json"
        manifest.write_bytes(read_bytes(target, ".assetstore/current.json"))
        store = AssetStore({})
        store.static("/assets/", root=target, name="assets", manifest=str(manifest))
        client = TestClient(Starlette(routes=store.routes), headers={"accept-encoding": "identity"})
        answers[name] = {}
        for path, content in FILES.items():
            url = store.url_for("assets", file=path)
            answer = client.get(url)
            assert (answer.status_code, answer.content) == (200, content), (name, path)
            assert "immutable" in answer.headers["cache-control"], (name, path)
            assert client.get(url, headers={"range": "bytes=1-3"}).content == content[1:4]
            assert client.get(url, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
            kept = {each: answer.headers[each] for each in SAME if each in answer.headers}
            answers[name][path] = answer.status_code, answer.content, kept, url
    assert all(each == answers["directory"] for each in answers.values())


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
