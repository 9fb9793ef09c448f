"""This module proves what is found in a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assetstore.backends.base import WritableBackend
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.publish.inventory import Inventory
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import Releases


def test_it_is_listed_once_and_what_the_ledger_knows_is_believed(mount: Mount, watched: Any) -> None:
    live = publish(mount, watched).manifest
    watched.calls.clear()
    found = Inventory.of(watched, Releases(watched).require())
    present = found.present(list(live.objects()), WorkerPool(2))
    assert present == {each.path: each for each in live.objects()}
    assert watched.calls == {"walk": 1, "open": 1}


def test_free_names_stand_for_nothing(target: WritableBackend, mount: Mount) -> None:
    live = publish(mount, target).manifest
    for each in live.objects():
        target.delete(each.path)
    assert Inventory.of(target, Releases(target).require()).present(list(live.objects()), WorkerPool(2)) == {}


def test_retained_is_what_earlier_releases_left_and_is_still_there(
    mount: Mount, asset_tree: Path, target: WritableBackend
) -> None:
    gone, kept = [], []
    for number in range(3):
        (asset_tree / "robots.txt").write_text(f"{number}")
        kept.append(publish(mount, target).manifest.entries["robots.txt"].fingerprinted_path)
    gone.append(kept.pop(0))
    target.delete(gone[0])
    state = Releases(target).require()
    assert Inventory.of(target, state).retained({kept[1]}) >= {kept[0]}
    assert not Inventory.of(target, state).retained(set()) & set(gone)
    assert Inventory.of(target, None).retained(set()) == frozenset()
