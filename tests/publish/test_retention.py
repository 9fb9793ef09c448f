"""Which releases are kept, and what each of them holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assetstore.backends.base import WritableBackend
from assetstore.errors import SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Manifest
from assetstore.publish import publish
from assetstore.publish.prune import Keep, age, holdings
from assetstore.publish.releases import Releases, ReleaseState, ReleaseSummary

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def state(days: list[int], live: int) -> ReleaseState:
    notes = tuple(ReleaseSummary(f"r{each}", NOW - timedelta(days=each), "a note", 1, 1) for each in days)
    return ReleaseState(Manifest(f"r{live}", NOW, None, {}), notes)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        pytest.param(Keep(1), ["r1"], id="only the last"),
        pytest.param(Keep(2), ["r5", "r1"], id="the last two"),
        pytest.param(Keep(1, timedelta(days=30)), ["r20", "r5", "r1"], id="the last, or younger than a month"),
        pytest.param(Keep(4, timedelta(days=2)), ["r40", "r20", "r5", "r1"], id="among the last although old"),
        pytest.param(Keep(9), ["r40", "r20", "r5", "r1"], id="more than there are"),
    ],
)
def test_a_release_is_kept_if_it_is_recent_or_young(keep: Keep, kept: list[str]) -> None:
    found, dropped = keep.split(state([40, 20, 5, 1], live=1), NOW)
    assert [each.id for each in found] == kept
    assert len(found) + len(dropped) == 4


def test_the_live_release_is_kept_however_old_it_is() -> None:
    found, _ = Keep(1).split(state([40, 20, 5, 1], live=40), NOW)
    assert [each.id for each in found] == ["r40", "r1"]


def test_keeping_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="give 1 or more"):
        Keep(0)


@pytest.mark.parametrize(
    ("text", "days"), [("30d", 30), ("48h", 2), ("2w", 14), (" 1440m ", 1), ("86400s", 1), ("7 d", 7)]
)
def test_ages_are_read(text: str, days: int) -> None:
    assert age(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "1.5d", "30 years", "9999999d"])
def test_what_is_no_age_is_refused_with_a_good_one(text: str) -> None:
    with pytest.raises(SettingsError, match="'30d'"):
        age(text)


def test_what_only_one_release_holds_is_counted(mount: Mount, asset_tree: Path, target: WritableBackend) -> None:
    publish(mount, target)
    (asset_tree / "robots.txt").write_text("second!")
    publish(mount, target)
    releases = Releases(target)
    first, second = holdings(releases, releases.require())
    assert (first.live, second.live) == (False, True)
    # The first robots.txt under its fingerprinted name; the plain name is in both.
    assert (first.own_objects, second.own_objects) == (1, 1)
    assert second.own_size == len("second!")
