"""How a plan is carried out when something is in its way, and how releases are called."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import BackendThrottled, PublishConflict, PublishError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Manifest
from assetstore.publish import publish
from assetstore.publish.upload import release_id

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_ids_sort_as_releases_do_and_tell_their_content() -> None:
    first, later = Manifest("", AT, None, {}), Manifest("", AT + timedelta(seconds=1), None, {})
    assert re.fullmatch(r"20260102T030405Z-[0-9a-f]{8}", release_id(first))
    assert release_id(first) < release_id(later)
    assert release_id(first) == release_id(Manifest("", AT, None, {}))
    assert release_id(first)[-8:] != release_id(Manifest("", AT, "other", {}))[-8:]


def test_a_file_that_changes_while_it_is_published_is_never_stored_under_the_old_name(
    mount: Mount, asset_tree: Path, watched: Any
) -> None:
    def edit(path: str) -> None:
        if path.startswith(".assetstore/journal"):
            (asset_tree / "css/app.css").write_text("twice as long as it was before, and more")

    watched.before_write = edit
    with pytest.raises(PublishError, match="let the build finish, then run the same command again"):
        publish(mount, watched)
    assert not [path for path in watched.written if path.startswith("css/app-")]
    watched.before_write = lambda path: None
    assert publish(mount, watched).released


def test_a_file_that_changes_in_place_with_its_size_kept_is_caught_by_its_digest(
    mount: Mount, asset_tree: Path, watched: Any, target: WritableBackend
) -> None:
    file = asset_tree / "css/app.css"

    def edit(path: str) -> None:
        if path.startswith(".assetstore/journal"):
            file.write_bytes(b"x" * file.stat().st_size)

    watched.before_write = edit
    with pytest.raises(PublishError, match="css/app"):
        publish(mount, watched)
    assert not [stat for stat in target.walk() if stat.path.startswith("css/app")]


def test_a_name_that_somebody_else_takes_meanwhile_is_fine_if_the_bytes_are_ours(
    mount: Mount, asset_tree: Path, watched: Any, target: WritableBackend
) -> None:
    def overtake(path: str) -> None:
        if path.startswith("css/app-"):
            data = (asset_tree / "css/app.css").read_bytes()
            target.write(path, BytesFile.of(path, data), WriteOptions("text/css", "no-store"))

    watched.before_write = overtake
    assert publish(mount, watched).released


def test_a_name_that_somebody_else_takes_meanwhile_with_other_bytes_is_a_hard_error(
    mount: Mount, watched: Any, target: WritableBackend
) -> None:
    def overtake(path: str) -> None:
        if path.startswith("css/app-"):
            target.write(path, BytesFile.of(path, b"theirs"), WriteOptions("text/css", "no-store"))

    watched.before_write = overtake
    with pytest.raises(PublishConflict, match="with other bytes"):
        publish(mount, watched)


def test_throttling_slows_down_and_loses_nothing(
    mount: Mount, asset_tree: Path, watched: Any, target: WritableBackend
) -> None:
    refusals = {"css/app.css": 2, "robots.txt": 1}

    def throttle(path: str) -> None:
        if refusals.get(path, 0) > 0:
            refusals[path] -= 1
            raise BackendThrottled("slow down", path=path, retry_after_seconds=0.01)

    watched.before_write = throttle
    done = publish(mount, watched)
    assert set(refusals.values()) == {0}
    for each in done.manifest.entries.values():
        assert read_bytes(target, each.path) == (asset_tree / each.path).read_bytes()
