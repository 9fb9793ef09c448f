"""The release record: one read, one conditional write, and nothing foreign is taken for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import ManifestError, PublishConflict, PublishError
from assetstore.names.manifest import Entry, Manifest, StoredObject, load
from assetstore.names.published import ManifestResolver
from assetstore.publish.releases import CURRENT, Releases, ReleaseState, manifest_path, summary

AT = datetime(2026, 1, 2, tzinfo=UTC)
CSS = Entry("a.css", "f" * 64, 3, "0" * 64, "sha384-x", "text/css", 1, (StoredObject("a.css", 3, "0" * 64, "h"),))
MANIFEST = Manifest("r1", AT, "assets", {"a.css": CSS}, frozenset({f"a-{'e' * 64}.css"}))
RECORD = ReleaseState(MANIFEST, (summary(MANIFEST, "a note"),), frozenset({"old.css"}))


def put(target: WritableBackend, path: str, data: bytes) -> None:
    target.write(path, BytesFile.of(path, data), WriteOptions("application/json", "no-store"))


def test_what_is_moved_is_read_back(any_target: WritableBackend) -> None:
    releases = Releases(any_target)
    assert releases.read() is None
    releases.move(None, RECORD)
    assert releases.require() == RECORD


def test_the_pointer_is_a_manifest_too(target: WritableBackend) -> None:
    Releases(target).move(None, RECORD)
    assert ManifestResolver(load(read_bytes(target, CURRENT), CURRENT)).find("a.css") is not None


def test_a_first_release_cannot_be_made_twice(any_target: WritableBackend) -> None:
    Releases(any_target).move(None, RECORD)
    Releases(any_target).move(None, RECORD)  # a retry whose first response was lost
    with pytest.raises(PublishConflict, match="run the same command again"):
        Releases(any_target).move(None, replace(RECORD, pending_deletes=frozenset()))


def test_what_was_moved_meanwhile_is_not_moved_over(any_target: WritableBackend) -> None:
    releases = Releases(any_target)
    releases.move(None, RECORD)
    seen = releases.require()
    other = replace(RECORD, pending_deletes=frozenset())
    releases.move(seen, other)
    with pytest.raises(PublishConflict, match="somebody else changed the live release"):
        releases.move(seen, RECORD)
    assert releases.require() == other


def test_a_release_is_saved_once_and_may_be_saved_again_as_it_is(target: WritableBackend) -> None:
    releases = Releases(target)
    releases.save(MANIFEST)
    releases.save(MANIFEST)
    assert releases.manifest("r1") == MANIFEST
    with pytest.raises(PublishConflict):
        releases.save(replace(MANIFEST, mount="other"))
    releases.forget("r1")
    releases.forget("r1")
    with pytest.raises(ManifestError, match="that release cannot be used"):
        releases.manifest("r1")


def test_an_empty_target_says_what_to_do(target: WritableBackend) -> None:
    with pytest.raises(PublishError, match="run 'assetstore publish' first"):
        Releases(target).require()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>", "is no JSON"),
        (b'{"kind": "assetstore manifest", "format": 9}', "upgrade assetstore"),
        (b'{"kind": "assetstore manifest", "format": 1}', "is damaged"),
        (b'{"kind": "assetstore manifest", "format": 1, "releases": [["r1"]], "pending_deletes": []}', "is damaged"),
        (
            b'{"kind": "assetstore manifest", "format": 1, "releases": [], "pending_deletes": [], "history": []}',
            "damaged manifest",
        ),
    ],
)
def test_what_is_no_ledger_is_never_written_over(target: WritableBackend, data: bytes, says: str) -> None:
    put(target, CURRENT, data)
    with pytest.raises(ManifestError, match=says) as caught:
        Releases(target).read()
    assert target.label in str(caught.value)
    assert read_bytes(target, CURRENT) == data


def test_a_release_is_listed_with_its_files_and_bytes() -> None:
    listed = summary(MANIFEST, "a note")
    assert (listed.id, listed.published_at, listed.files, listed.size) == ("r1", AT, 1, 3)
    assert manifest_path("r1") == ".assetstore/manifests/r1.json"
