"""A style sheet is made again only from what changed, and what is missing is said once."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.local.backend import LocalBackend, LocalFile
from assetstore.errors import BrokenReference
from assetstore.names.fingerprint import ContentFingerprint
from assetstore.rewrite.backend import Rewriter
from assetstore.rewrite.graph import Look


class Counting(LocalBackend):
    """Counts what is opened."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened: Counter[str] = Counter()

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> LocalFile:
        self.opened[path] += 1
        return super().open(path, span, validator=validator)


@pytest.fixture
def backend(tmp_path: Path) -> Counting:
    (tmp_path / "a.css").write_text("@import 'b.css'; a{b:url(gone.png)}")
    (tmp_path / "b.css").write_text("c{d:url(dot.svg)}")
    (tmp_path / "dot.svg").write_text("dot")
    return Counting(tmp_path)


def look(backend: LocalBackend, *missing: str) -> Look:
    return lambda path: None if path in {"gone.png", *missing} else backend.stat(path)


def test_it_is_made_of_everything_that_it_reaches_and_of_what_is_missing(backend: Counting) -> None:
    found = Rewriter(backend, ContentFingerprint(), strict=False).make("a.css", backend.stat("a.css"), look(backend))
    assert set(found.made_of) == {"a.css", "b.css", "dot.svg", "gone.png"}
    assert found.made_of["gone.png"] is None
    assert found.still_holds(look(backend))
    assert not found.still_holds(look(backend, "dot.svg"))
    assert not found.still_holds(lambda path: FileStat(path, 1))


def test_a_source_is_read_once_for_each_version(backend: Counting, tmp_path: Path) -> None:
    rewriter = Rewriter(backend, ContentFingerprint(), strict=False)
    for _ in range(3):
        rewriter.make("a.css", backend.stat("a.css"), look(backend))
    assert (backend.opened["a.css"], backend.opened["b.css"]) == (1, 1)
    (tmp_path / "b.css").write_text("c{d:url(dot.svg)} longer")
    rewriter.make("a.css", backend.stat("a.css"), look(backend))
    assert (backend.opened["a.css"], backend.opened["b.css"]) == (1, 2)


def test_a_fault_is_said_once_or_refused(backend: Counting, caplog: pytest.LogCaptureFixture) -> None:
    rewriter = Rewriter(backend, ContentFingerprint(), strict=False)
    with caplog.at_level(logging.WARNING, "assetstore"):
        for _ in range(3):
            rewriter.make("a.css", backend.stat("a.css"), look(backend))
    (said,) = [said for said in caplog.messages if backend.label in said]
    assert "a.css:1:22: url of 'gone.png'" in said
    with pytest.raises(BrokenReference, match="1:22"):
        Rewriter(backend, ContentFingerprint(), strict=True).make("a.css", backend.stat("a.css"), look(backend))
