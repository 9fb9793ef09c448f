"""The disk cache's budget: no more than the limit is reserved, and entries are evicted before."""

from __future__ import annotations

from pathlib import Path

import pytest

from assetstore.backends.remote.disk import PIECE, Ledger, on_disk


@pytest.mark.parametrize(("size", "taken"), [(0, 0), (1, PIECE), (PIECE, PIECE), (PIECE + 1, 2 * PIECE)])
def test_a_file_takes_whole_pieces(size: int, taken: int) -> None:
    assert on_disk(size) == taken


class Sweep:
    def __init__(self, left: int) -> None:
        self.targets: list[int] = []
        self._left = left

    def __call__(self, target: int) -> int:
        self.targets.append(target)
        return min(self._left, target)


def book(budget: Ledger, size: int) -> None:
    with budget.room_for(size):
        pass


def test_a_new_ledger_looks_at_what_is_there_first(tmp_path: Path) -> None:
    sweep = Sweep(left=0)
    book(Ledger(tmp_path / "ledger", 1000, sweep), 100)
    assert len(sweep.targets) == 1


def test_room_is_made_only_when_it_is_short_and_a_little_more_than_needed(tmp_path: Path) -> None:
    sweep = Sweep(left=0)
    budget = Ledger(tmp_path / "ledger", 1000, sweep)
    book(budget, 100)
    book(budget, 900)
    assert len(sweep.targets) == 1
    book(budget, 50)
    assert sweep.targets[1] == 1000 - 100 - 50


def test_another_process_goes_on_with_the_same_ledger(tmp_path: Path) -> None:
    book(Ledger(tmp_path / "ledger", 1000, Sweep(left=0)), 900)
    sweep = Sweep(left=900)
    book(Ledger(tmp_path / "ledger", 1000, sweep), 200)
    assert sweep.targets == [1000 - 100 - 200]
