"""That a dry run reads everything and writes nothing."""

from __future__ import annotations

from pathlib import Path

from assetstore.backends.base import WritableBackend
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.layout import DryRunBackend
from assetstore.publish.releases import CURRENT


def test_nothing_is_written_and_the_names_are_those_of_a_real_run(
    mount: Mount, asset_tree: Path, target: WritableBackend, folder: Path, watch: object
) -> None:
    recorder = DryRunBackend(target)
    assert isinstance(recorder, WritableBackend)
    planned = publish(mount, recorder)
    assert not folder.exists()
    watched = watch(target)  # type: ignore[operator]
    done = publish(mount, watched)
    plan = [(row.stored.path, row.reason) for row in planned.plan.rows]
    assert plan == [(row.stored.path, row.reason) for row in done.plan.rows]
    assets = [path for path in recorder.written if not path.startswith(".assetstore/")]
    # Within a stage the order is whoever is first.
    assert sorted(assets) == sorted(path for path in watched.written if not path.startswith(".assetstore/"))
    assert recorder.written[-1] == CURRENT
    assert [path for path in recorder.deleted if not path.startswith(".assetstore/journals/")] == []


def test_it_starts_from_what_stands_in_the_target(mount: Mount, asset_tree: Path, target: WritableBackend) -> None:
    publish(mount, target)
    (asset_tree / "robots.txt").write_text("changed")
    recorder = DryRunBackend(target)
    assert publish(mount, recorder).new == 2
    assert publish(mount, target).new == 2
    assert (recorder.label, recorder.remote) == (target.label, target.remote)
    assert recorder.stat("robots.txt").size == target.stat("robots.txt").size
    recorder.delete("robots.txt")
    assert (recorder.deleted[-1], target.stat("robots.txt").size) == ("robots.txt", 7)
