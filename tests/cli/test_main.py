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

PROJECT = Path(__file__).parents[2]


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
        (["--references", "strict", "--no-fingerprint"], "writes fingerprints, and --no-fingerprint makes none"),
    ],
)
def test_a_message_names_options_and_no_arguments_of_python(
    options: list[str], said: str, asset_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(asset_tree), "--port", "0", *options]) == (3 if "--manifest" in options else 2)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["releases", "--to", "s3://my-bucket/shop", "--storage-option", "nonsense=1"],
        ["publish", "--app", "{site}:assets", "--to", "s3://my-bucket/shop", "--storage-option", "nonsense=1"],
        ["check", "https://cdn.example.com/", "--to", "s3://my-bucket/shop", "--storage-option", "nonsense=1"],
        ["check", "https://cdn.example.com/", "--manifest", "none.json"],
        ["serve", "none"],
        ["serve", "s3://my-bucket/shop", "--storage-option", "nonsense=1"],
        ["prune", "--to", "target", "--keep", "0"],
        ["check", "https://cdn.example.com/", "--sample", "0"],
    ],
    ids=" ".join,
)
def test_no_message_of_a_command_names_an_argument_that_it_does_not_have(
    words: list[str], site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([word.format(site=site) for word in words])
    said = capsys.readouterr().err
    assert code in {2, 3}, said
    assert re.findall(r"\bstorage_options\b|(?<!-)\b[a-z_]+=|=(?:True|False|None)\b", said) == []


OUTPUT = {
    "--json": {"init", "url", "importmap", "publish", "releases", "rollback", "prune", "check", "doctor"},
    "--quiet": {"init", "serve", "importmap", "publish", "releases", "rollback", "prune", "check", "doctor"},
}


@pytest.mark.parametrize("option", OUTPUT)
def test_commands_with_results_print_json_and_can_be_quiet(option: str) -> None:
    from cli_reference import commands

    assert {name for name, each in commands().items() if option in each.format_help()} == OUTPUT[option]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["importmap", "--app", "{site}:assets", "--check"], ""),
        (["doctor", "--app", "{site}:assets"], ""),
        (["init", "new"], ""),
    ],
    ids=" ".join,
)
def test_quiet_is_silent_where_nothing_is_wrong(
    words: list[str], said: str, site: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(site=site) for word in words]
    assert main([*given, "--quiet"]) == 0
    assert capsys.readouterr().out == said


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

    monkeypatch.setattr("assetstore.cli.url.print_url", interrupted)
    assert main(["url", "assets", "app.css", "--app", "x:y"]) == 130


def test_no_command_at_all_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
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
