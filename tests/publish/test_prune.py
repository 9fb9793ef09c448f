"""That a prune deletes what no kept release needs, and nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.errors import (
    AssetNotFound,
    BackendUnavailable,
    ManifestError,
    PublishConflict,
    PublishError,
    SettingsError,
)
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.prune import Keep, apply, check_limit, plan
from assetstore.publish.releases import Releases, manifest_path
from assetstore.publish.rollback import rollback


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def releases(mount: Mount, asset_tree: Path, target: WritableBackend) -> list[str]:
    """Three releases, each with its own robots.txt; the second alone has extra.txt."""
    ids = []
    for content in ("first", "second", "third"):
        (asset_tree / "robots.txt").write_text(content)
        extra = asset_tree / "extra.txt"
        extra.write_text("only in the second") if content == "second" else extra.unlink(missing_ok=True)
        ids.append(publish(mount, target).manifest.release)
    return ids


def names(target: WritableBackend) -> set[str]:
    return {stat.path for stat in target.walk()}


def needed(target: WritableBackend, release: str) -> set[str]:
    return {each.path for each in Releases(target).manifest(release).objects()}


def test_the_plan_names_what_goes_and_why_and_deletes_nothing(releases: list[str], target: WritableBackend) -> None:
    before = names(target)
    found = plan(target, Keep(1), now())
    assert [each.id for each in found.dropped] == releases[:2]
    assert {each.path for each in found.deletes} == (
        needed(target, releases[0]) | needed(target, releases[1])
    ) - needed(target, releases[2])
    assert "extra.txt" in {each.path for each in found.deletes}
    assert {each.reason for each in found.deletes} == {f"release {each}" for each in releases[:2]}
    assert names(target) == before


def test_what_a_kept_release_needs_stays_and_the_rest_goes(releases: list[str], target: WritableBackend) -> None:
    kept = needed(target, releases[2]) | needed(target, releases[1])
    apply(plan(target, Keep(2), now()), target)
    assert names(target) == kept
    assert [each.id for each in Releases(target).require().releases] == releases[1:]
    with pytest.raises(AssetNotFound):
        target.stat(manifest_path(releases[0]))


def test_foreign_objects_are_never_touched(releases: list[str], target: WritableBackend, folder: Path) -> None:
    (folder / "uploads").mkdir()
    (folder / "uploads/user.png").write_bytes(b"not ours")
    (folder / f"app-{'0' * 64}.css").write_bytes(b"looks like ours, and is not")
    found = plan(target, Keep(1), now())
    apply(found, target)
    assert found.foreign == 2
    assert (folder / "uploads/user.png").exists()
    assert (folder / f"app-{'0' * 64}.css").exists()


def test_the_storages_own_times_say_nothing(releases: list[str], target: WritableBackend, folder: Path) -> None:
    for file in folder.rglob("*"):
        os.utime(file, (0, 0))
    assert not plan(target, Keep(1, timedelta(days=1)), now()).deletes
    later = now() + timedelta(days=2)
    assert len(plan(target, Keep(1, timedelta(days=1)), later).dropped) == 2


def test_the_retained_names_of_what_was_deleted_are_forgotten(
    releases: list[str], mount: Mount, target: WritableBackend
) -> None:
    assert len(Releases(target).require().current.retained) == 3
    apply(plan(target, Keep(1), now()), target)
    state = Releases(target).require()
    assert state.current.retained == frozenset()
    assert state.pending_deletes == frozenset()
    assert not publish(mount, target).released


@pytest.mark.parametrize(
    ("limit", "fits"), [("4", True), ("3", False), ("100%", True), ("5%", False), ("20%", True), ("0", False)]
)
def test_a_plan_over_the_limit_is_refused_as_a_whole(
    releases: list[str], target: WritableBackend, limit: str, fits: bool
) -> None:
    found = plan(target, Keep(1), now())
    assert (len(found.deletes), found.objects) == (4, 22)
    if fits:
        check_limit(found, limit)
    else:
        with pytest.raises(PublishError, match="nothing was deleted; if that is right, raise it with --max-deletes"):
            check_limit(found, limit)


@pytest.mark.parametrize("limit", ["", "many", "-1", "5.5%", "%"])
def test_what_is_no_limit_is_refused(releases: list[str], target: WritableBackend, limit: str) -> None:
    with pytest.raises(SettingsError, match="30%"):
        check_limit(plan(target, Keep(1), now()), limit)


def test_a_prune_that_breaks_off_is_finished_by_the_next(
    releases: list[str], target: WritableBackend, watch: Any
) -> None:
    failing = watch(target)
    deleted: list[str] = []

    def fail(path: str) -> None:
        if not path.startswith(".assetstore/"):
            if deleted:
                raise BackendUnavailable("the network is down", path=path)
            deleted.append(path)

    failing.before_delete = fail
    with pytest.raises(PublishError, match="run 'assetstore prune --yes' again"):
        apply(plan(failing, Keep(1), now()), failing, workers=1)
    assert Releases(target).require().pending_deletes
    apply(plan(target, Keep(1), now()), target)
    assert names(target) == needed(target, releases[2])
    assert Releases(target).require().pending_deletes == frozenset()


def test_a_publish_never_relies_on_what_a_prune_is_deleting(
    make_mount: Any, asset_tree: Path, target: WritableBackend, watch: Any
) -> None:
    for content in ("first", "second"):
        (asset_tree / "robots.txt").write_text(content)
        publish(make_mount(fingerprint="content"), target)
    (asset_tree / "robots.txt").write_text("first")
    pruning = watch(target)

    def meanwhile(path: str) -> None:
        pruning.before_delete = lambda path: None
        with pytest.raises(PublishConflict, match="a prune is deleting"):
            publish(make_mount(fingerprint="content"), target)

    pruning.before_delete = lambda path: None if path.startswith(".assetstore/") else meanwhile(path)
    apply(plan(pruning, Keep(1), now()), pruning, workers=1)
    done = publish(make_mount(fingerprint="content"), target)
    assert read_bytes(target, done.manifest.entries["robots.txt"].fingerprinted_path) == b"first"


def test_a_publish_in_between_makes_the_prune_delete_nothing(
    releases: list[str], mount: Mount, asset_tree: Path, target: WritableBackend
) -> None:
    found = plan(target, Keep(1), now())
    (asset_tree / "robots.txt").write_text("fourth")
    publish(mount, target)
    before = names(target)
    with pytest.raises(PublishConflict):
        apply(found, target)
    assert names(target) == before


def test_files_of_a_publish_that_never_finished_go_after_a_day(
    mount: Mount, asset_tree: Path, target: WritableBackend, watch: Any
) -> None:
    publish(mount, target)
    (asset_tree / "robots.txt").write_text("never finished")
    failing = watch(target)

    def fail(path: str) -> None:
        if path == "robots.txt":
            raise BackendUnavailable("down", path=path)

    failing.before_write = fail
    with pytest.raises(PublishError):
        publish(mount, failing)
    (asset_tree / "robots.txt").write_text("something else")
    publish(mount, target)
    assert not plan(target, Keep(9), now()).deletes
    found = plan(target, Keep(9), now() + timedelta(days=2))
    assert [each.reason for each in found.deletes] == ["its publish never finished"]


def test_a_release_whose_manifest_is_gone_stops_the_prune(releases: list[str], target: WritableBackend) -> None:
    target.delete(manifest_path(releases[1]))
    with pytest.raises(ManifestError, match="that release cannot be used"):
        plan(target, Keep(2), now())


def test_after_a_rollback_the_live_release_is_kept(releases: list[str], target: WritableBackend) -> None:
    rollback(target, releases[0])
    apply(plan(target, Keep(1), now()), target)
    assert names(target) == needed(target, releases[0]) | needed(target, releases[2])


def test_there_is_nothing_to_prune_where_nothing_was_published(target: WritableBackend) -> None:
    with pytest.raises(PublishError, match="run 'assetstore publish' first"):
        plan(target, Keep(1), now())
