"""Going back to an earlier release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WritableBackend, read_bytes
from assetstore.errors import PublishError
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.releases import Releases
from assetstore.publish.rollback import PREVIOUS, rollback


@pytest.fixture
def releases(mount: Mount, asset_tree: Path, target: WritableBackend) -> list[str]:
    ids = []
    for content in ("first", "second", "third"):
        (asset_tree / "robots.txt").write_text(content)
        ids.append(publish(mount, target).manifest.release)
    return ids


@pytest.mark.parametrize(("wanted", "at"), [(PREVIOUS, 1), (0, 0), (2, 2)], ids=["previous", "by id", "the live one"])
def test_the_pointer_moves_to_the_release(
    releases: list[str], target: WritableBackend, wanted: str | int, at: int
) -> None:
    live = rollback(target, wanted if isinstance(wanted, str) else releases[wanted])
    state = Releases(target).require()
    assert live.release == state.current.release == releases[at]
    assert [each.id for each in state.releases] == releases


def test_later_releases_stay_retained_so_that_their_pages_keep_working(
    releases: list[str], target: WritableBackend
) -> None:
    latest = Releases(target).require().current.entries["robots.txt"].fingerprinted_path
    live = rollback(target, releases[0])
    assert latest in live.retained
    assert live.entries["robots.txt"].fingerprinted_path not in live.retained


def test_a_publish_after_a_rollback_makes_a_new_release(
    releases: list[str], mount: Mount, target: WritableBackend
) -> None:
    rollback(target, PREVIOUS)
    done = publish(mount, target)
    assert done.released
    assert done.manifest.release > releases[2]
    # The rollback has written the plain name again, so only that one differs.
    assert [row.stored.path for row in done.plan.rows if row.writes] == ["robots.txt"]


def test_an_unknown_release_is_answered_with_the_known_ones(releases: list[str], target: WritableBackend) -> None:
    with pytest.raises(PublishError, match=releases[0]):
        rollback(target, "20200101T000000Z-00000000")


def test_the_first_release_has_none_before_it(mount: Mount, target: WritableBackend) -> None:
    publish(mount, target)
    with pytest.raises(PublishError, match="no release before"):
        rollback(target, PREVIOUS)


def test_a_release_whose_files_are_gone_does_not_come_back(releases: list[str], target: WritableBackend) -> None:
    lost = Releases(target).manifest(releases[0]).entries["robots.txt"].fingerprinted_path
    target.delete(lost)
    with pytest.raises(PublishError, match="1 of its files are gone"):
        rollback(target, releases[0])
    assert Releases(target).require().current.release == releases[2]


def test_files_whose_names_begin_with_a_dot_come_back_too(
    make_mount: Any, asset_tree: Path, target: WritableBackend
) -> None:
    (asset_tree / ".data").mkdir()
    for content in ("first", "second"):
        (asset_tree / ".data/rates.txt").write_text(content)
        publish(make_mount(hidden=[".data"], fingerprint="content"), target)
    rollback(target, PREVIOUS)
    assert read_bytes(target, ".data/rates.txt") == b"first"
    (asset_tree / ".data/rates.txt").write_text("first")
    assert not publish(make_mount(hidden=[".data"], fingerprint="content"), target).released
