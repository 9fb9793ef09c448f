"""`assetstore init` writes an application that runs and whose test passes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers.processes import PROJECT


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_what_it_writes_passes_its_own_test(framework: str, tmp_path: Path, command: Callable[..., Any]) -> None:
    assert command("init", tmp_path, "--framework", framework).code == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{PROJECT}:.", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_it_overwrites_nothing(tmp_path: Path, command: Callable[..., Any]) -> None:
    (tmp_path / "shop.py").write_text("mine")
    told = command("init", tmp_path)
    assert told.code == 2
    assert "shop.py" in told.err
    assert "would be overwritten; give another FOLDER or --name" in told.err
    assert [each.name for each in tmp_path.iterdir()] == ["shop.py"]


def test_a_name_that_is_no_module_is_refused(tmp_path: Path, command: Callable[..., Any]) -> None:
    assert "is no name of a module" in command("init", tmp_path, "--name", "my-shop").err


def test_completion_offers_the_commands() -> None:
    environment = {"_ARGCOMPLETE": "1", "COMP_LINE": "assetstore pu", "COMP_POINT": "13", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m assetstore 8>&1 9>/dev/null >/dev/null"],
        env={**environment, "PYTHONPATH": str(PROJECT), "_ARGCOMPLETE_IFS": "\n"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["publish"]


def test_completion_prints_a_script(command: Callable[..., Any]) -> None:
    assert "complete" in command("completion", "bash").out
