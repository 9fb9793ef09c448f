"""This module owns the command line's outside: which commands there are, and how an error leaves.

Each command is a room of :mod:`assetstore.cli.commands` with ``add_parser(subparsers)`` and
``run(args) -> int``. Exit codes: 0 done, 1 done and the answer is no, 2 it could not be done
(one line on stderr says why), 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from assetstore import __version__
from assetstore.cli.commands import COMMANDS
from assetstore.errors import AssetStoreError

_DESCRIPTION = "Static assets on disk, in a bucket and behind a CDN."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except AssetStoreError as error:
        print(f"assetstore: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us (head, less) has gone: what is left unwritten is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments."""
    top = argparse.ArgumentParser(prog="assetstore", description=_DESCRIPTION)
    top.add_argument("--version", action="version", version=f"assetstore {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        added = command.add_parser(subparsers)
        about = (command.__doc__ or "").partition(": ")[2].strip()
        added.description = about[:1].upper() + about[1:]
        added.set_defaults(run=command.run)
    return top
