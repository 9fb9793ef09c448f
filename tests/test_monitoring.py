"""Whether mounts can answer: a bucket that is empty, one that is out of reach and one that refuses are three things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.errors import BackendCredentials, BackendError, BackendForbidden, BackendUnavailable
from assetstore.monitoring import State, last_contact
from assetstore.util.background import Contact


def state_of(store: AssetStore) -> State:
    (mount,) = store.health().mounts
    return mount.state


def test_a_directory_with_files_is_ready(world: Path) -> None:
    store = AssetStore()
    store.static("/assets/", root=world, name="assets")
    assert state_of(store) is State.READY
    assert store.health().ready


def test_an_empty_directory_is_empty(tmp_path: Path) -> None:
    store = AssetStore()
    store.static("/assets/", root=tmp_path, name="assets")
    assert state_of(store) is State.EMPTY
    assert store.health().ready


@pytest.fixture
def bucket_store(moto_bucket: Any) -> AssetStore:
    store = AssetStore()
    store.static("/media/", root=moto_bucket.url, name="media", storage_options=moto_bucket.server.options)
    return store


def test_a_bucket_that_was_not_asked_is_unknown(bucket_store: AssetStore) -> None:
    assert state_of(bucket_store) is State.UNKNOWN
    assert bucket_store.health().ready


def test_an_empty_bucket_is_empty(bucket_store: AssetStore) -> None:
    bucket_store.refresh()
    assert state_of(bucket_store) is State.EMPTY


def test_a_bucket_with_files_is_ready(bucket_store: AssetStore, moto_bucket: Any) -> None:
    moto_bucket.put({"app.css": b"x"})
    bucket_store.refresh()
    assert state_of(bucket_store) is State.READY


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (BackendUnavailable("x"), State.UNREACHABLE),
        (BackendCredentials("x"), State.REFUSED),
        (BackendForbidden("x"), State.REFUSED),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_the_last_word_counts(bucket_store: AssetStore, fault: BackendError, state: State) -> None:
    bucket_store.refresh()
    mount = bucket_store.mounts.named("media")
    assert mount.remote is not None
    listed = last_contact(mount)
    assert listed is not None
    mount.remote.counters.contact = Contact(listed.at + 1, fault)
    assert state_of(bucket_store) is state
    assert not bucket_store.health().ready
    mount.remote.counters.contact = Contact(listed.at - 1, fault)
    assert state_of(bucket_store) is State.EMPTY
