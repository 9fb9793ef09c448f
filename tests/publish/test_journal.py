"""Each publish announces what it writes in a journal of its own, so that nothing that a killed one left is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import StoredObject
from assetstore.publish import inventory, publish
from assetstore.publish.inventory import Inventory
from assetstore.publish.plan import Reason
from assetstore.publish.prune import Keep, apply, plan
from assetstore.publish.releases import CURRENT, Releases

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def kill(mount: Mount, asset_tree: Path, target: WritableBackend, watch: Any) -> Callable[[str], None]:
    """Publishes robots.txt with other content, and is killed before the release is live."""

    def kill_(content: str) -> None:
        (asset_tree / "robots.txt").write_text(content)
        dying = watch(target)

        def die(path: str) -> None:
            if path == CURRENT:
                raise Killed

        dying.before_write = die
        dying.before_delete = lambda path: (_ for _ in ()).throw(Killed)
        with pytest.raises(Killed):
            publish(mount, dying)
        target.delete(".assetstore/lock.json")  # the lease of a process that is gone ends by itself, in 15 s

    return kill_


def journals(folder: Path) -> list[Path]:
    return sorted((folder / ".assetstore/journals").glob("*"))


def test_a_publish_that_ended_leaves_no_journal(mount: Mount, target: WritableBackend, folder: Path) -> None:
    publish(mount, target)
    assert journals(folder) == []


def test_what_two_killed_publishes_announced_is_remembered_and_pruned(
    mount: Mount, asset_tree: Path, target: WritableBackend, folder: Path, kill: Callable[[str], None]
) -> None:
    publish(mount, target)
    kill("first killed")
    kill("second killed")
    assert len(journals(folder)) == 2
    (asset_tree / "robots.txt").write_text("third")
    publish(mount, target)
    assert len(journals(folder)) == 2  # the two may still run, for all that this one knows
    assert not plan(target, Keep(5), datetime.now(UTC)).changes
    found = plan(target, Keep(5), datetime.now(UTC) + timedelta(days=2))
    assert [each.reason for each in found.deletes] == ["its publish never finished"] * 2
    apply(found, target)
    assert journals(folder) == []
    assert len(list(folder.glob("robots-*"))) == 2  # of the two releases that are kept
    assert not publish(mount, target).released


def test_what_a_publish_that_runs_has_taken_over_from_a_killed_one_is_not_pruned(
    mount: Mount, target: WritableBackend, folder: Path, kill: Callable[[str], None], watch: Any
) -> None:
    publish(mount, target)
    kill("taken over")
    [old] = journals(folder)
    head, *rest = old.read_text().splitlines()
    old.write_text("\n".join([f'"{AT.isoformat()}"', *rest]) + "\n")
    assert head != f'"{AT.isoformat()}"'
    running = watch(target)
    seen = []

    def meanwhile(path: str) -> None:
        if path == CURRENT:
            seen.append([each.path for each in plan(target, Keep(5), datetime.now(UTC)).deletes])

    running.before_write = meanwhile
    done = publish(mount, running)
    assert done.released
    assert Reason.SAME in {row.reason for row in done.plan.rows if row.stored.path.startswith("robots-")}
    assert seen == [[]]
    apply(plan(target, Keep(5), datetime.now(UTC)), target)
    assert publish(mount, target).released is False
    assert journals(folder) == []


def test_headers_of_objects_that_a_killed_publish_wrote_are_known(
    mount: Mount, target: WritableBackend, kill: Callable[[str], None]
) -> None:
    publish(mount, target)
    kill("headers")
    [found] = Inventory.of(target, Releases(target).read()).journals
    assert {path.partition("-")[0].partition(".")[0] for path in found.intents} == {"robots"}


@given(st.binary(max_size=200), st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_a_damaged_journal_never_raises(tmp_path_factory: Any, noise: bytes, intents: list[Any]) -> None:
    from assetstore.backends import open_backend

    target = open_backend(tmp_path_factory.mktemp("journal"))
    assert isinstance(target, WritableBackend)
    wanted = [StoredObject(path or "a", 1, sha256, headers) for path, sha256, headers in intents]
    path = inventory.new_name()
    inventory.announce(target, path, wanted, AT)
    assert inventory.read_journal(target, path).intents == {each.path: (each.sha256, each.headers) for each in wanted}
    target.write(path, BytesFile.of(path, noise), WriteOptions("application/json", "no-store"))
    inventory.read_journal(target, path)
    assert inventory.read_journal(target, inventory.new_name()).intents == {}
