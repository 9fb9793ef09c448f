"""The entry point ``assetstore``: its commands, and how an error becomes an exit code.

Exit codes: 0 done, 1 done and the answer is no, 2 it could not be done (one line on stderr says
why), 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from assetstore import __version__
from assetstore.cli import check, importmap, publish, releases, serve, url
from assetstore.errors import AssetStoreError


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
        # The reader of a pipe (head, less) has ended: what it did not read is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments, in the order in which ``--help`` names them."""
    top = argparse.ArgumentParser(prog="assetstore", description="Static assets on disk, in a bucket and behind a CDN.")
    top.add_argument("--version", action="version", version=f"assetstore {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (serve, url, importmap, publish, releases, check):
        module.add_parsers(commands)
    return top
