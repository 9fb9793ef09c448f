"""This module proves the journal: what was about to be written, for who comes after."""

from __future__ import annotations

import pytest

from assetstore.backends.base import BytesFile, FileStat, WritableBackend, WriteOptions, read_bytes
from assetstore.errors import PublishConflict
from assetstore.names.manifest import StoredObject
from assetstore.publish.inventory import JOURNAL, UNKNOWN_HEADERS, Inventory, Journal, require_same_bytes

SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of b"hello"
WANTED = StoredObject("a.css", 5, SHA, "h1")


def put(target: WritableBackend, path: str, data: bytes) -> None:
    target.write(path, BytesFile.of(path, data), WriteOptions("text/css", "no-store"))


def look(target: WritableBackend, wanted: StoredObject = WANTED, size: int = 5) -> StoredObject:
    listing = {wanted.path: FileStat(wanted.path, size)}
    return Inventory(target, listing, None, Journal(target)).identify(wanted)


def test_what_arrived_is_known_with_the_headers_that_were_noted(any_target: WritableBackend) -> None:
    Journal(any_target).write([WANTED], ())
    put(any_target, "a.css", b"hello")
    assert look(any_target) == WANTED


def test_what_nobody_noted_has_unknown_headers(target: WritableBackend) -> None:
    put(target, "a.css", b"hello")
    assert look(target) == StoredObject("a.css", 5, SHA, UNKNOWN_HEADERS)


def test_other_bytes_than_were_noted_have_unknown_headers(target: WritableBackend) -> None:
    Journal(target).write([WANTED], ())
    put(target, "a.css", b"jello")
    found = look(target)
    assert (found.sha256 == SHA, found.headers) == (False, UNKNOWN_HEADERS)


def test_another_size_needs_no_look(target: WritableBackend) -> None:
    assert look(target, size=6).sha256 == ""  # the file is not even there


def test_earlier_notes_stay_only_for_names_that_are_kept(target: WritableBackend) -> None:
    Journal(target).write([WANTED, StoredObject("b.css", 1, SHA, "h2")], ())
    Journal(target).write([StoredObject("c.css", 1, SHA, "h3")], ["b.css", "never noted.css"])
    assert Journal(target).intents == {"b.css": (SHA, "h2"), "c.css": (SHA, "h3")}


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b'{"at": "2026"}', b'{"at": 1, "intents": {}}', b"null"])
def test_a_journal_that_cannot_be_read_is_as_none(target: WritableBackend, data: bytes) -> None:
    put(target, JOURNAL, data)
    assert Journal(target).intents == {}


def test_the_same_bytes_by_somebody_else_are_as_good(target: WritableBackend) -> None:
    put(target, "a.css", b"hello")
    assert require_same_bytes(target, WANTED).size == 5
    put(target, "a.css", b"jello")
    with pytest.raises(PublishConflict, match="such a name never changes"):
        require_same_bytes(target, WANTED)
    assert read_bytes(target, "a.css") == b"jello"
