"""What a run is said to have shown is what it wrote down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.frame import Comparison, Options, Target

FASTER = Target("ours", "theirs", at_least=2.0)
RUN = Comparison(
    "one work", "requests/s", {"ours": (30.0, 31.0, 10.0), "theirs": (10.0, 10.0, 10.0)}, "theirs", (FASTER,)
)


def test_the_readme_has_the_table_of_the_last_full_run() -> None:
    assert report.targets() in report.README.read_text(), "python -m benchmarks writes it anew"


@pytest.mark.parametrize("name", report.FIGURES)
def test_the_performance_page_has_the_figures_of_the_last_results(name: str) -> None:
    begin, end = report.marks(name)
    assert f"{begin}\n\n{report.figures(name)}\n\n{end}" in report.PERFORMANCE.read_text("utf-8"), "run `make figures`"


def test_pages_say_when_it_was_measured_and_copy_no_figure_by_hand() -> None:
    page = report.PERFORMANCE.read_text("utf-8")
    assert report.conditions() in page
    prose = re.sub(r"<!-- (\w+): .*?<!-- end of \1 -->", "", page, flags=re.DOTALL)
    assert re.findall(r"\b\d+\.\d+\b|\b\w+ times as\b", prose) == []


def test_the_readme_compares_by_the_last_results() -> None:
    assert f"\n{report.peers()}\n" in report.PROJECT_README.read_text("utf-8"), "run `make figures`"


def test_a_run_replaces_the_table_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nwhat stood there\n{report.END}\nafter\n")
    report.save("serving", "title", [RUN], Options(), {})
    for _ in range(2):
        report.write_targets(readme, tmp_path)
    assert readme.read_text() == f"before\n{report.BEGIN}\n{report.targets(tmp_path)}\n{report.END}\nafter\n"
    assert report.targets(tmp_path).splitlines()[2:] == [
        "| one work | ours / theirs | at least 2 | 3.00 (1.00 to 3.10) |  |"
    ]


def test_a_target_that_was_missed_is_told() -> None:
    missed = Comparison(RUN.work, RUN.unit, RUN.samples, RUN.baseline, (Target("ours", "theirs", at_least=4.0),))
    assert "MISSED: ours / theirs = 3.00 (1.00 to 3.10); target at least 4" in report.table(missed)
