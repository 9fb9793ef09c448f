"""Contests name subjects that there are, at works that there are, with targets that can be looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contests import Contest, contests
from benchmarks.subjects import subject
from benchmarks.works import WORKS

ALL = [
    pytest.param(server, each, id=f"{each.title}, {server}")
    for server in ("uvicorn", "granian")
    for each in contests(server)
]


@pytest.mark.parametrize(("server", "contest"), ALL)
def test_a_contest_can_be_held(server: str, contest: Contest, tmp_path: Path) -> None:
    for name, work in contest.entries.values():
        assert work in WORKS
        found = subject(name, server, tmp_path, tmp_path)
        assert found is None or str(found.port) in " ".join(found.command) or name == "nginx"


@pytest.mark.parametrize(("server", "contest"), ALL)
def test_a_target_compares_what_is_measured(server: str, contest: Contest) -> None:
    assert contest.baseline in contest.entries
    for target in contest.targets:
        assert {target.subject, target.baseline} <= set(contest.entries)


def test_nothing_is_measured_twice_on_one_server() -> None:
    for server in ("uvicorn", "granian"):
        titles = [each.title for each in contests(server)]
        assert len(titles) == len(set(titles))
