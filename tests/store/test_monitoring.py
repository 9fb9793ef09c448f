"""Health of mounts (an empty, an unreachable and a refusing bucket are three states), and the text for Prometheus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.backends.remote.retry import Counters
from assetstore.errors import BackendCredentials, BackendError, BackendForbidden, BackendUnavailable
from assetstore.monitoring import Health, MountHealth, MountState, last_contact, prometheus_text
from assetstore.util.background import Contact

#: One line of Prometheus's text format.
LINE = re.compile(r'[a-z_]+(?:\{([a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+\})? [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+')


def state_of(store: AssetStore) -> MountState:
    (mount,) = store.health().mounts
    return mount.state


def test_a_directory_with_files_is_ready(asset_tree: Path) -> None:
    store = AssetStore()
    store.static("/assets/", root=asset_tree, name="assets")
    assert state_of(store) is MountState.READY
    assert store.health().ready


def test_an_empty_directory_is_empty(tmp_path: Path) -> None:
    store = AssetStore()
    store.static("/assets/", root=tmp_path, name="assets")
    assert state_of(store) is MountState.EMPTY
    assert store.health().ready


@pytest.fixture
def bucket_store(moto_bucket: Any) -> AssetStore:
    store = AssetStore()
    store.static("/media/", root=moto_bucket.url, name="media", storage_options=moto_bucket.server.options)
    return store


def test_a_bucket_that_was_not_asked_is_unknown(bucket_store: AssetStore) -> None:
    assert state_of(bucket_store) is MountState.UNKNOWN
    assert bucket_store.health().ready


def test_an_empty_bucket_is_empty(bucket_store: AssetStore) -> None:
    bucket_store.refresh()
    assert state_of(bucket_store) is MountState.EMPTY


def test_a_bucket_with_files_is_ready(bucket_store: AssetStore, moto_bucket: Any) -> None:
    moto_bucket.put({"app.css": b"x"})
    bucket_store.refresh()
    assert state_of(bucket_store) is MountState.READY


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (BackendUnavailable("x"), MountState.UNREACHABLE),
        (BackendCredentials("x"), MountState.REFUSED),
        (BackendForbidden("x"), MountState.REFUSED),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_the_last_word_counts(bucket_store: AssetStore, fault: BackendError, state: MountState) -> None:
    bucket_store.refresh()
    mount = bucket_store.mounts.named("media")
    assert mount.remote is not None
    listed = last_contact(mount)
    assert listed is not None
    mount.remote.counters.contact = Contact(listed.at + 1, fault)
    assert state_of(bucket_store) is state
    assert not bucket_store.health().ready
    mount.remote.counters.contact = Contact(listed.at - 1, fault)
    assert state_of(bucket_store) is MountState.EMPTY


def counters() -> Counters:
    counted = Counters()
    for outcome, times in (("hit", 7), ("miss", 3), ("collapsed", 2), ("stale", 1)):
        for _ in range(times):
            counted.count(outcome)  # type: ignore[arg-type]
    counted.requests = 4
    counted.seconds = 0.125
    counted.error(TimeoutError())
    return counted


def test_every_number_stands_under_its_mount() -> None:
    health = Health(
        (MountHealth("media", MountState.READY, counters().counts()), MountHealth("assets", MountState.EMPTY))
    )
    told = prometheus_text(health).splitlines()
    assert 'assetstore_answers_total{mount="media",outcome="hit"} 7' in told
    assert 'assetstore_answers_total{mount="media",outcome="miss"} 3' in told
    assert 'assetstore_answers_total{mount="media",outcome="coalesced"} 2' in told
    assert 'assetstore_answers_total{mount="media",outcome="stale"} 1' in told
    assert 'assetstore_storage_requests_total{mount="media"} 4' in told
    assert 'assetstore_storage_seconds_total{mount="media"} 0.125' in told
    assert 'assetstore_storage_errors_total{mount="media",error="TimeoutError"} 1' in told
    assert 'assetstore_mount_ready{mount="media",state="ready"} 1' in told
    assert 'assetstore_mount_ready{mount="assets",state="empty"} 1' in told


def test_every_line_is_of_the_format_whatever_a_mount_is_called() -> None:
    told = prometheus_text(Health((MountHealth('a "b" \\ c\nd', MountState.UNREACHABLE, counters().counts()),)))
    assert told.endswith("\n")
    assert all(LINE.fullmatch(line) for line in told.splitlines())
    assert r'mount="a \"b\" \\ c\nd"' in told


def test_each_family_is_declared_once_and_before_its_lines() -> None:
    health = Health(tuple(MountHealth(name, MountState.READY, counters().counts()) for name in ("a", "b")))
    declared: list[str] = []
    for line in prometheus_text(health).splitlines():
        if line.startswith("# TYPE"):
            declared.append(line.split()[2])
        elif not line.startswith("#"):
            assert re.split("[{ ]", line)[0] == declared[-1]
    assert len(declared) == len(set(declared)) == 6
