"""Every command line that the README and the documentation write is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from assetstore.cli.main import parser
from documentation import blocks

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]


def commands(page: Path) -> list[str]:
    """The calls of ``assetstore`` in the shell blocks of *page*, and those of releases in its text."""
    text = page.read_text()
    found = [
        each.replace("…", "s3://bucket/shop")
        for each in re.findall(r"`(assetstore (?:rollback|prune|releases) [^`]+)`", text)
    ]
    for block in blocks(text):
        if block.language not in {"sh", "shell", "bash", "console", "yaml"}:
            continue
        for line in block.body.replace("\\\n", " ").splitlines():
            if match := re.search(r"^\W*(?:run: )?(assetstore (?:[a-z]+)\b[^|&;<>]*)", line.split(" #")[0]):
                found.append(match[1].strip())
    return found


DOCUMENTED = [(str(page.relative_to(PROJECT)), command) for page in PAGES for command in commands(page)]


def test_commands_are_found() -> None:
    subcommands = {command.split()[1] for _, command in DOCUMENTED}
    assert {"publish", "releases", "rollback", "prune", "check", "serve"} <= subcommands


@pytest.mark.parametrize(("page", "command"), DOCUMENTED)
def test_a_documented_command_is_taken(page: str, command: str) -> None:
    parser().parse_args(shlex.split(command)[1:])
