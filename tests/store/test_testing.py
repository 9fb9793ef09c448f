"""The plugin that users test with: mounts that need no bucket and no disk."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.backends.base import read_bytes
from assetstore.testing import MountMaker


def answered(place: object) -> tuple[int, str, bytes]:
    store = AssetStore()
    store.static("/media/", root=place, name="media", fingerprint=False)  # type: ignore[arg-type]
    with TestClient(Starlette(routes=store.routes, lifespan=store.lifespan)) as client:
        answer = client.get("/media/css/app.css")
        return answer.status_code, answer.headers["content-type"], answer.content


def test_a_memory_mount_is_served(memory_mount: MountMaker) -> None:
    assert answered(memory_mount({"css/app.css": "body {}"})) == (200, "text/css; charset=utf-8", b"body {}")


def test_an_s3_mount_is_a_bucket_on_a_real_server(s3_mount: MountMaker) -> None:
    assert answered(s3_mount({"css/app.css": b"body {}"})) == (200, "text/css; charset=utf-8", b"body {}")


def test_each_place_has_its_own_files_alone(memory_mount: MountMaker, s3_mount: MountMaker) -> None:
    for make in (memory_mount, s3_mount):
        one, two = make({"a.txt": "one"}), make({"a.txt": "two", "b.txt": "b"})
        assert [stat.path for stat in one.walk()] == ["a.txt"]
        assert read_bytes(two, "a.txt") == b"two"
