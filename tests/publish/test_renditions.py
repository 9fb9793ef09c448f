"""That files are encoded once, where it makes them smaller, and as they were planned."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from assetstore.assets import compression as compress
from assetstore.backends import open_backend
from assetstore.names.manifest import Entry
from assetstore.publish.layout import Layout, encoded_sizes, open_stored

TEXT = b"a { color: red }\n" * 200


def entry(path: str, data: bytes) -> Entry:
    return Entry(path, None, len(data), hashlib.sha256(data).hexdigest(), "sha384-x", "text/css", None)


def published(root: Path, layout: Layout, known: Entry | None = None, data: bytes = TEXT) -> Entry:
    (root / "a.css").write_bytes(data)
    made = entry("a.css", data)
    smaller = encoded_sizes(open_backend(root), made, known, layout)
    return Entry(
        made.path,
        None,
        made.size,
        made.sha256,
        made.integrity,
        made.content_type,
        None,
        layout.complete(made, smaller).stored,
    )


@pytest.mark.parametrize("coding", compress.CODINGS)
def test_what_is_opened_is_what_was_planned(tmp_path: Path, coding: str) -> None:
    found = published(tmp_path, Layout(siblings=(coding,)))
    [plain, encoded] = found.stored
    assert (plain.coding, encoded.coding) == (None, coding)
    opened = open_stored(open_backend(tmp_path), found, encoded)
    data = b"".join(opened.chunks(0, opened.stat.size))
    assert (len(data), hashlib.sha256(data).hexdigest()) == (encoded.size, encoded.sha256)
    assert encoded.size < plain.size


def test_what_does_not_get_smaller_stays_as_it_is(tmp_path: Path) -> None:
    found = published(tmp_path, Layout(siblings=("gzip",)), data=os.urandom(4000))
    assert [each.coding for each in found.stored] == [None]


def test_an_unchanged_file_is_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(siblings=("gzip",))
    known = published(tmp_path, layout)
    monkeypatch.setattr(compress, "compress", lambda *args, **options: pytest.fail("encoded again"))
    assert published(tmp_path, layout, known).stored == known.stored


def test_a_changed_file_is_encoded_again(tmp_path: Path) -> None:
    layout = Layout(siblings=("gzip",))
    known = published(tmp_path, layout)
    assert published(tmp_path, layout, known, data=TEXT + b"b {}\n").stored != known.stored
