"""How a command starts, what its help shows, and how an error is printed."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from assetstore import __version__
from assetstore.cli.main import main, parser
from assetstore.cli.options import EXAMPLES, paint

PROJECT = Path(__file__).parents[1]


def test_every_command_is_named_by_help() -> None:
    said = parser().format_help()
    for name in EXAMPLES:
        assert re.search(rf"^    {name}\b", said, re.MULTILINE), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_command_shows_an_example_that_it_understands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  {EXAMPLES[name]}" in capsys.readouterr().out
    words = shlex.split(re.sub(r'eval "\$\((.*)\)"', r"\1", EXAMPLES[name]))
    assert words[:2] == ["assetstore", name]
    assert parser().parse_args(words[1:]).run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--allowed-ext", "css"],
            "--allowed-ext has 'css', which does not begin with a dot; a good value is .css,.js",
        ),
        (["--default-file", "../b"], "--default-file='../b' is no file name; a good one is index.html"),
        (["--manifest", "none.json"], "write it with 'assetstore publish --manifest PATH', or correct --manifest"),
    ],
)
def test_a_message_names_options_and_no_arguments_of_python(
    options: list[str], said: str, asset_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(asset_tree), "--port", "0", *options]) == (3 if "--manifest" in options else 2)
    assert said in capsys.readouterr().err


def test_colours_are_for_terminals_and_no_color_switches_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "red", io.StringIO()) == "x"
    assert paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red", Terminal()) == "x"


def test_an_error_is_one_line_on_stderr_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "/no/such/place", "--port", "0"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("assetstore: root '/no/such/place' does not exist")
    assert err.count("\n") == 1
    assert "must_exist" not in err


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
