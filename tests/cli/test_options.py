"""What the publishing commands share: how they tell what they do."""

from __future__ import annotations

import io
import sys

import pytest

from assetstore.cli.options import print_json, print_table, progress_on
from assetstore.publish.progress import Bar, Lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_bar_and_a_log_has_lines() -> None:
    assert isinstance(progress_on(Terminal()), Bar)
    assert isinstance(progress_on(io.StringIO()), Lines)


def test_a_terminal_without_the_bars_library_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "assetstore.publish.progress", None)
    assert isinstance(progress_on(Terminal()), Lines)


def test_a_table_is_aligned_and_ends_without_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("name", "bytes", "path"), ("a", "12 B", "x"), ("long one", "1 B", "yy")], frozenset({1}))
    assert capsys.readouterr().out.splitlines() == [
        "name      bytes  path",
        "a          12 B  x",
        "long one    1 B  yy",
    ]
    print_table([])
    assert capsys.readouterr().out == ""


def test_json_is_one_document_with_every_letter_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": "grüße.svg"})
    assert capsys.readouterr().out == '{\n "path": "grüße.svg"\n}\n'
