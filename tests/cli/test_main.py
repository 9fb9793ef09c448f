"""This module proves how a command starts and how an error leaves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from assetstore import __version__
from assetstore.cli.main import main, parser

PROJECT = Path(__file__).parents[1]


def test_every_command_is_named_by_help() -> None:
    said = parser().format_help()
    for name in ("serve", "url", "importmap", "publish", "releases", "rollback", "prune", "check"):
        assert re.search(rf"^    {name}\b", said, re.MULTILINE), name


def test_an_error_is_one_line_on_stderr_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "/no/such/place", "--port", "0"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("assetstore: root '/no/such/place' does not exist")
    assert err.count("\n") == 1


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("assetstore.cli.url.run", interrupted)
    assert main(["url", "assets", "app.css", "--app", "x:y"]) == 130


def test_no_command_at_all_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage: assetstore" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assetstore", "--version"], cwd=PROJECT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, f"assetstore {__version__}\n")


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m assetstore --help | true", shell=True, cwd=PROJECT, capture_output=True, timeout=30
    )
    assert b"Traceback" not in done.stderr
