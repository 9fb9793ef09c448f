"""``python -m benchmarks`` names its suites, and each of them is there to be run."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from benchmarks.frame import SUITES
from servers.processes import PROJECT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)


def test_help_names_every_suite() -> None:
    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert ", ".join(SUITES) in " ".join(done.stdout.split())


def test_a_suite_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = run("--only", "serving,nothing")
    assert done.returncode == 2
    assert "there is no suite nothing" in done.stderr
    assert ", ".join(SUITES) in done.stderr


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_a_title_and_a_measurement(name: str) -> None:
    suite = import_module(f"benchmarks.{name}")
    assert suite.TITLE
    assert callable(suite.measure)
