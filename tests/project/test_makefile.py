"""What a newcomer meets first: the two commands, and what they say where they cannot work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from servers.processes import PROJECT

#: Stands for an interpreter that is not like the one that runs the tests.
PYTHON = """#!/bin/sh
exec {python} -c 'import sys, importlib.util
{change}
exec(sys.argv[1])' "$2"
"""

OLD = "sys.version_info = (3, 9, 2)"
WITHOUT_VENV = "importlib.util.find_spec = lambda name: None"


def make(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", *args], cwd=PROJECT, capture_output=True, text=True, timeout=60)


def test_help_names_every_target() -> None:
    told = make("help").stdout
    assert {line.split()[1] for line in told.splitlines()} >= {
        "demo",
        "test",
        "lint",
        "bench",
        "soak",
        "test-localstack",
    }


def test_an_interpreter_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = make("test", f"VENV={tmp_path}/venv", "PYTHON=python-nowhere")
    assert told.returncode != 0
    assert "there is no python-nowhere; name one: make PYTHON=" in told.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(OLD, "assetstore needs Python 3.11 or newer", id="one that is too old"),
        pytest.param(WITHOUT_VENV, "apt-get install python3-venv", id="Debian's without the venv package"),
    ],
)
def test_an_interpreter_that_will_not_do_says_what_to_do(change: str, said: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, change=change))
    python.chmod(0o755)
    told = make("test", f"VENV={tmp_path}/venv", f"PYTHON={python}")
    assert told.returncode != 0
    assert said in told.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_runs_targets_of_the_makefile_alone() -> None:
    script = (PROJECT / ".ci/run").read_text()
    targets = {each for words in re.findall(r"\bmake ((?:[\w./-]+ ?)+)", script) for each in words.split()}
    assert targets >= {"test", "lint", "docs-tools", "build", "servers"}
    assert make("-n", *sorted(targets)).returncode == 0
