"""The page ``docs/reference/cli.md``, written from the parsers; ``python -m cli_reference`` saves it."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from assetstore.cli import main
from assetstore.cli.main import parser

PAGE = Path(__file__).parents[2] / "docs/reference/cli.md"

HEAD = """# Command line

Colours and a progress bar appear on a terminal alone; `NO_COLOR` switches colours off.

| Exit code | Meaning |
|---|---|
{codes}
"""


def page() -> str:
    """The page's text: each command with its help, 88 columns wide."""
    os.environ["COLUMNS"] = "90"
    codes = re.findall(r"^(\d+) +(.+)$", main.__doc__ or "", re.M)
    parts = [HEAD.format(codes="\n".join(f"| {code} | {meaning} |" for code, meaning in codes))]
    for name, command in commands().items():
        command.color = False  # type: ignore[attr-defined]  # from Python 3.14 on
        parts.append(f"## assetstore {name}\n\n```text\n{command.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command's parser, in the order of ``--help``."""
    [found] = [each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
