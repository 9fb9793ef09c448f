"""The routes for a load balancer and for Prometheus, in process; ``tests/faults`` has them before a real bucket."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore import monitoring as status
from assetstore.backends.base import FileStat
from assetstore.backends.remote import RemoteLimits
from assetstore.errors import AssetNotFound, BackendCredentials, BackendForbidden, BackendUnavailable
from assetstore.monitoring import status_routes
from assetstore.util.background import Contact
from remote_files import RemoteFiles
from waiting import eventually

LIMITS = RemoteLimits(attempts=1, breaker_faults=1, breaker_seconds=0.0)


class Bucket(RemoteFiles):
    """A far storage that answers every question with ``fault``, where it has one."""

    fault: Exception | None = None

    def stat(self, path: str) -> FileStat:
        if self.fault is not None:
            raise self.fault
        return super().stat(path)

    def open(self, path: str, *how: Any, **options: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        return super().open(path, *how, **options)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(a=b"one")


def client(*mounts: Any, health: str = "/health", metrics: str = "/metrics") -> TestClient:
    assets = AssetStore()
    for number, root in enumerate(mounts):
        options: dict[str, Any] = {"limits": LIMITS, "index": "lazy"} if isinstance(root, RemoteFiles) else {}
        assets.static(f"/{number}/", root=root, name=f"mount{number}", **options)
    return TestClient(Starlette(routes=status_routes(assets.mounts, health, metrics)))


def told(asked: TestClient) -> tuple[int, bool, list[str]]:
    reply = asked.get("/health")
    assert reply.headers["cache-control"] == "no-store"
    return reply.status_code, reply.json()["ready"], list(reply.json()["mounts"].values())


def test_files_of_this_machine_are_ready(asset_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert told(client(asset_tree, tmp_path / "empty")) == (200, True, ["ready", "empty"])


def test_storage_that_was_not_heard_of_is_asked_and_what_answered_lately_is_not(bucket: Bucket) -> None:
    asked = client(bucket)
    assert [told(asked) for _ in range(3)] == [(200, True, ["ready"])] * 3
    assert bucket.opens == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(BackendUnavailable("s3.internal.example is down"), (503, False, ["unreachable"]), id="an outage"),
        pytest.param(BackendCredentials("the key AKIDEXAMPLE"), (503, False, ["refused"]), id="wrong credentials"),
        pytest.param(AssetNotFound("assetstore-probe"), (200, True, ["ready"]), id="a missing file is an answer"),
        pytest.param(BackendForbidden("policy"), (200, True, ["unknown"]), id="a made-up file may be forbidden"),
    ],
)
def test_what_the_storage_says_is_the_state_and_its_words_stay_here(
    bucket: Bucket, fault: Exception, expected: tuple[int, bool, list[str]]
) -> None:
    bucket.fault = fault
    asked = client(bucket)
    assert told(asked) == expected
    for path in ("/health", "/metrics"):
        assert "example" not in asked.get(path).text.lower()


def test_one_mount_that_cannot_answer_is_enough(bucket: Bucket, asset_tree: Path) -> None:
    bucket.down = True
    assert told(client(asset_tree, bucket)) == (503, False, ["ready", "unreachable"])


def test_a_storage_that_is_back_is_found_though_nobody_else_asks(bucket: Bucket) -> None:
    bucket.down = True
    asked = client(bucket)
    assert told(asked)[0] == 503
    bucket.down = False
    assert told(asked) == (200, True, ["ready"])


def test_a_storage_that_hangs_holds_the_answer_up_for_a_moment_only(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "PATIENCE_SECONDS", 0.05)
    bucket.gate.clear()
    asked = client(bucket)
    began = time.monotonic()
    assert told(asked) == (503, False, ["unreachable"])
    assert time.monotonic() - began < 4  # the storage would take five
    bucket.gate.set()
    assert told(asked) == (200, True, ["ready"])


def test_a_storage_that_hangs_is_noticed_though_nobody_else_asks(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "RECENT_SECONDS", 0.0)
    asked = client(bucket)
    assert told(asked) == (200, True, ["ready"])
    monkeypatch.setattr(status, "PATIENCE_SECONDS", 0.05)
    bucket.gate.clear()
    assert told(asked) == (503, False, ["unreachable"])
    bucket.gate.set()


def test_what_others_hear_of_a_storage_counts_more_than_a_probe_that_was_not_answered(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "PATIENCE_SECONDS", 0.05)
    assets = AssetStore()
    mount = assets.static("/a/", root=bucket, limits=LIMITS, index="lazy")
    remote = mount.remote
    assert remote is not None

    async def slow(path: str) -> None:
        remote.counters.contact = Contact(time.monotonic())
        await asyncio.sleep(5)

    monkeypatch.setattr(remote.direct, "probe", slow)
    asked = TestClient(Starlette(routes=status_routes(assets.mounts, "/health", "/metrics")))
    assert told(asked) == (200, True, ["ready"])


def test_the_counters_are_text_for_prometheus(bucket: Bucket, asset_tree: Path) -> None:
    asked = client(asset_tree, bucket)
    told(asked)
    reply = asked.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert 'assetstore_mount_ready{mount="mount1",state="ready"} 1' in reply.text
    assert 'assetstore_storage_requests_total{mount="mount1"} 1' in reply.text


@pytest.mark.parametrize(
    ("health", "metrics", "paths"),
    [("/h", "/m", ["/h", "/m"]), ("", "/m", ["/m"]), ("/h", "", ["/h"]), ("", "", [])],
    ids=["both", "no health", "no metrics", "neither"],
)
def test_an_empty_path_is_no_route(health: str, metrics: str, paths: list[str]) -> None:
    routes: list[Any] = list(status_routes([], health, metrics))
    assert [route.path for route in routes] == paths
    assert not any(route.include_in_schema for route in routes)


def test_a_thread_that_keeps_failing_is_said_by_its_name_alone(asset_tree: Path) -> None:
    class Broken:
        reads = True

        def of(self, stat: FileStat, backend: Any) -> str:
            raise ZeroDivisionError("a secret of the application's")

    assets = AssetStore()
    assets.static("/assets/", root=asset_tree, name="assets", fingerprint=Broken())
    asked = TestClient(Starlette(routes=assets.status_routes()))
    assert "failing" not in asked.get("/assets-health").json()

    async def page() -> None:
        assets.url_for("assets", file="css/app.css")

    asyncio.run(page())
    assert eventually(lambda: "failing" in asked.get("/assets-health").json())
    reply = asked.get("/assets-health")
    assert (reply.status_code, reply.json()["failing"]) == (200, {"assetstore-fingerprint": "ZeroDivisionError"})
    assert "assetstore_threads_failing 1" in asked.get("/assets-metrics").text
    assets.close()
