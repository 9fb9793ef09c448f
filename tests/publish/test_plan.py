"""Why an object is written, is not, or stops everything; row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from assetstore.backends.base import FileStat
from assetstore.errors import PublishConflict
from assetstore.names.manifest import Entry, Manifest, StoredObject
from assetstore.publish.inventory import Inventory, Journal, ListedObject, is_as_recorded
from assetstore.publish.layout import Stage
from assetstore.publish.plan import Plan, Reason, make
from assetstore.publish.pool import WorkerPool
from assetstore.publish.releases import ReleaseState

OLD, NEW = "0" * 64, "1" * 64
PLAIN, NAMED = "a.css", f"a-{'f' * 64}.css"
AT = datetime(2026, 1, 2, tzinfo=UTC)


def entry(*stored: StoredObject, sha256: str = OLD) -> Entry:
    return Entry("a.css", "f" * 64, 10, sha256, "sha384-x", "text/css", None, stored)


def stored(path: str = PLAIN, sha256: str = OLD, headers: str = "h1", **facts: Any) -> StoredObject:
    return StoredObject(path, facts.pop("size", 10), sha256, headers, **facts)


def listed(path: str = PLAIN, size: int = 10, validator: str | None = "v1") -> FileStat:
    return FileStat(path, size, validator=validator)


class Stored:
    """A backend that reports one digest for every object, and which objects were read."""

    label = "target"

    def __init__(self, sha256: str = OLD) -> None:
        self.read: list[str] = []
        self._sha256 = sha256

    remote = True

    def stat(self, path: str) -> FileStat:
        self.read.append(path)
        return FileStat(path, 10, sha256=self._sha256)


def announced(**intents: tuple[str, str]) -> Journal:
    """A journal with what an earlier run announced."""
    return Journal("j", AT, {f"{name}.css": intent for name, intent in intents.items()})


def plan(
    wanted: StoredObject,
    *,
    live: StoredObject | None = None,
    found: FileStat | None = None,
    backend: Stored | None = None,
    journal: Journal | None = None,
    force: bool = False,
    before: str = OLD,
    pending_deletes: frozenset[str] = frozenset(),
) -> Plan:
    state = None
    if live is not None:
        state = ReleaseState(Manifest("r1", AT, None, {"a.css": entry(live, sha256=before)}), (), pending_deletes)
    listing: dict[str, StoredObject | ListedObject] = {}
    if found is not None:
        as_recorded = live is not None and live.path == found.path and is_as_recorded(live, found)
        listing[found.path] = live if live and as_recorded else ListedObject(found.size, found.validator)
    target = Inventory(backend or Stored(), listing, state, [journal] if journal else [])  # type: ignore[arg-type]
    return make([entry(wanted, sha256=wanted.sha256)], target, WorkerPool(1), force=force)


@pytest.mark.parametrize(
    ("wanted", "live", "found", "reason"),
    [
        pytest.param(stored(), None, None, Reason.MISSING, id="never published"),
        pytest.param(stored(), stored(), None, Reason.MISSING, id="published, and gone from the target"),
        pytest.param(stored(), stored(validator="v1"), listed(), Reason.SAME, id="of the version that was written"),
        pytest.param(
            stored(sha256=NEW), stored(validator="v1"), listed(), Reason.CHANGED, id="other bytes of the same size"
        ),
        pytest.param(stored(size=11), stored(), listed(), Reason.CHANGED, id="another size"),
        pytest.param(stored(headers="h2"), stored(validator="v1"), listed(), Reason.HEADER_DRIFT, id="other headers"),
        pytest.param(stored(), stored(), listed(size=11), Reason.CHANGED, id="overwritten with another size"),
    ],
)
def test_the_ledger_and_the_listing_decide(
    wanted: StoredObject, live: StoredObject | None, found: FileStat | None, reason: Reason
) -> None:
    [row] = plan(wanted, live=live, found=found).rows
    assert (row.reason, row.stage, row.writes) == (reason, Stage.PLAIN, reason is not Reason.SAME)


def test_an_object_as_the_release_record_names_it_is_not_read() -> None:
    backend = Stored()
    plan(stored(), live=stored(validator="v1"), found=listed(), backend=backend)
    assert backend.read == []


@pytest.mark.parametrize(
    ("found_sha256", "intended", "reason"),
    [
        pytest.param(OLD, {"a": (OLD, "h1")}, Reason.SAME, id="brought by a run that was killed"),
        pytest.param(OLD, {"a": (OLD, "h0")}, Reason.HEADER_DRIFT, id="brought with other headers"),
        pytest.param(OLD, {}, Reason.HEADER_DRIFT, id="the same bytes, and nobody noted their headers"),
        pytest.param(NEW, {"a": (OLD, "h1")}, Reason.CHANGED, id="noted, and not brought yet"),
    ],
)
def test_an_object_that_the_record_does_not_name_is_identified_by_its_digest(
    found_sha256: str, intended: dict[str, tuple[str, str]], reason: Reason
) -> None:
    backend = Stored(found_sha256)
    [row] = plan(stored(), found=listed(), backend=backend, journal=announced(**intended)).rows
    assert row.reason is reason
    assert backend.read == [PLAIN]


def test_an_object_that_others_replaced_since_is_read() -> None:
    backend = Stored(NEW)
    [row] = plan(stored(), live=stored(validator="v0"), found=listed(validator="v1"), backend=backend).rows
    assert row.reason is Reason.CHANGED
    assert backend.read == [PLAIN]


def test_force_writes_what_is_the_same() -> None:
    [row] = plan(stored(), live=stored(), found=listed(), force=True).rows
    assert row.reason is Reason.FORCED


def test_a_name_that_never_changes_with_other_bytes_stops_everything() -> None:
    with pytest.raises(PublishConflict, match="such a name never changes"):
        plan(stored(NAMED, NEW), live=stored(NAMED, OLD), found=listed(NAMED))


def test_force_does_not_change_what_never_changes() -> None:
    with pytest.raises(PublishConflict):
        plan(stored(NAMED, NEW), live=stored(NAMED, OLD), found=listed(NAMED), force=True)


def test_two_assets_cannot_share_one_name() -> None:
    target = Inventory(None, {}, None)  # type: ignore[arg-type]
    twice = [entry(stored("a.css.br")), entry(stored("a.css.br"))]
    with pytest.raises(PublishConflict, match="'a.css.br'; rename one of them"):
        make(twice, target, WorkerPool(1))


def test_what_a_prune_is_deleting_is_not_relied_on() -> None:
    with pytest.raises(PublishConflict, match="a prune is deleting 'a.css'"):
        plan(stored(), live=stored(), found=listed(), pending_deletes=frozenset({PLAIN}))


@pytest.mark.parametrize(
    ("live", "changes"),
    [
        pytest.param({"a.css": entry(stored())}, False, id="nothing"),
        pytest.param({"a.css": entry(stored()), "b.css": replace(entry(), path="b.css")}, True, id="an asset went"),
        pytest.param({}, True, id="an asset came"),
    ],
)
def test_assets_that_come_and_go_are_changes_too(live: dict[str, Entry], changes: bool) -> None:
    state = ReleaseState(Manifest("r1", AT, None, live), ())
    journal = announced(a=(OLD, "h1"))
    target = Inventory(Stored(), {PLAIN: ListedObject(10, "v1")}, state, [journal])  # type: ignore[arg-type]
    assert make([entry(stored())], target, WorkerPool(1)).changes is changes


def test_a_message_names_a_few_and_counts_the_rest() -> None:
    many = [entry(stored(f"{n}.css")) for n in range(20) for _ in range(2)]
    with pytest.raises(PublishConflict, match="and 15 more"):
        make(many, Inventory(None, {}, None), WorkerPool(1))  # type: ignore[arg-type]
