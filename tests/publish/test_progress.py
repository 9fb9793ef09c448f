"""What is told of a publish while it runs, in plain lines."""

from __future__ import annotations

import io

import pytest

from assetstore.publish.progress import Lines, Silent, bytes_text


def test_a_stage_is_two_lines_where_it_is_quick() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.begin("plain files", 3, 2500)
    for _ in range(3):
        lines.advance(800)
    lines.end()
    assert stream.getvalue().splitlines() == ["plain files: 3 to go, 2.5 kB", "plain files: 3 of 3, done"]


def test_a_slow_stage_is_told_of_meanwhile_and_a_broken_one_is_not_done() -> None:
    stream = io.StringIO()
    lines = Lines(stream, seconds=0)
    lines.begin("plain files", 3, 0)
    lines.advance(1)
    lines.end()
    told = ["plain files: 3 to go", "plain files: 1 of 3", "plain files: 1 of 3"]
    assert stream.getvalue().splitlines() == told


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.begin("plain files", 1, 1)
    silent.advance(1)
    silent.end()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (2_500_000, "2.5 MB"),
        (7e9, "7.0 GB"),
        (3e12, "3.0 TB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_bytes_are_told_in_decimal_units(size: float, text: str) -> None:
    assert bytes_text(size) == text
