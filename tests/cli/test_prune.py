"""``assetstore prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def out(site: str, command: Any, tmp_path: Path) -> Path:
    """A target with three releases, of which each has its own robots.txt."""
    for content in ("first", "second", "third"):
        (tmp_path / "assets/robots.txt").write_text(content)
        command("publish", "--app", f"{site}:assets", "--to", "out")
    return tmp_path / "out"


def files(out: Path) -> set[str]:
    return {each.name for each in out.glob("robots*")}


def test_the_plan_is_shown_and_nothing_is_deleted_without_yes(out: Path, command: Any) -> None:
    before = files(out)
    told = command("prune", "--to", out, "--keep", 1)
    assert told.code == 5  # changes are pending
    assert told.out.splitlines()[-1].startswith("would delete 2 of 20 objects, 11 B; 2 releases dropped, 1 kept")
    assert "add --yes" in told.out
    assert files(out) == before


def test_with_yes_it_is_done(out: Path, command: Any) -> None:
    told = command("prune", "--to", out, "--keep", 1, "--yes")
    assert told.out.splitlines()[-1].startswith("deleted 2 of 20 objects")
    assert len(files(out)) == 2
    assert command("prune", "--to", out, "--keep", 1, "--yes").out.startswith("deleted 0 of 18")


def test_young_releases_are_kept(out: Path, command: Any) -> None:
    told = command("prune", "--to", out, "--keep", 1, "--younger-than", "30d", "--json")
    assert (told.json["dropped"], told.json["deletes"], told.json["done"]) == ([], [], False)
    assert len(told.json["kept"]) == 3


def test_a_plan_over_the_limit_is_refused_as_a_whole(out: Path, command: Any) -> None:
    before = files(out)
    told = command("prune", "--to", out, "--keep", 1, "--yes", "--max-deletes", "1")
    assert told.code == 3
    assert "more than the limit of 1; nothing was deleted" in told.err
    assert files(out) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--keep", "0"], "no whole number of at least 1"),
        (["--younger-than", "soon"], "'30d'"),
        (["--max-deletes", "all"], "30%"),
    ],
)
def test_what_is_no_rule_is_one_clear_line(out: Path, command: Any, words: list[str], says: str) -> None:
    told = command("prune", "--to", out, *words)
    assert told.code == 2
    assert says in told.err
