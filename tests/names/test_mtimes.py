"""Modified times that tell nothing are noticed and said aloud once."""

from __future__ import annotations

import pytest

from assetstore.backends.base import FileStat
from assetstore.names.fingerprint import ENOUGH, MtimeWatch, is_pinned

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0, id="the epoch"),
        pytest.param(1, id="one second later, as Nix does"),
        pytest.param(-5, id="before the epoch"),
        pytest.param(315_532_800, id="1980, where zip begins"),
        pytest.param(499_162_500, id="the day npm packs with"),
    ],
)
def test_a_moment_that_tools_pin_files_to_is_known(seconds: int) -> None:
    assert is_pinned(seconds * SECOND)


def test_an_ordinary_time_is_not_pinned() -> None:
    assert not is_pinned(1_790_000_000 * SECOND)


def test_a_pinned_time_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = MtimeWatch()
    for name in "abc":
        watch.see(FileStat(name, 1, SECOND), "the disk")
    assert len(caplog.records) == 1
    assert "fingerprint='content'" in caplog.text


def test_all_equal_times_are_said_once_there_are_enough(caplog: pytest.LogCaptureFixture) -> None:
    watch = MtimeWatch()
    for number in range(ENOUGH - 1):
        watch.see(FileStat(str(number), 1, 1_790_000_000 * SECOND), "the disk")
    assert not caplog.records
    watch.see(FileStat("last", 1, 1_790_000_000 * SECOND), "the disk")
    watch.see(FileStat("another", 1, 1_790_000_000 * SECOND), "the disk")
    assert len(caplog.records) == 1


def test_one_file_asked_again_and_again_is_not_many(caplog: pytest.LogCaptureFixture) -> None:
    watch = MtimeWatch()
    for _ in range(ENOUGH * 2):
        watch.see(FileStat("one", 1, 1_790_000_000 * SECOND), "the disk")
    assert not caplog.records


def test_times_that_vary_are_left_in_peace(caplog: pytest.LogCaptureFixture) -> None:
    watch = MtimeWatch()
    for number in range(ENOUGH * 2):
        watch.see(FileStat(str(number), 1, (1_790_000_000 + number % 2) * SECOND), "the disk")
    assert not caplog.records
