"""This module owns the arguments that the publishing commands share, and how they tell what they do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from assetstore.backends.base import WritableBackend
from assetstore.commands.application import load, mounts_in
from assetstore.commands.base import Subparsers
from assetstore.commands.storage import add_storage_option, storage_options
from assetstore.mounts import MountTable
from assetstore.publish.destinations import open_target
from assetstore.publish.progress import Lines, Progress


def parser_for(subparsers: Subparsers, name: str, doc: str | None, what: str) -> argparse.ArgumentParser:
    """A command's parser with ``--to``, ``--storage-option`` and ``--json``."""
    parser = subparsers.add_parser(name, help=what, description=doc)
    parser.add_argument("--to", required=True, metavar="TARGET", help="s3://bucket/prefix, a directory, an fsspec URL")
    add_storage_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    return parser


def target_of(args: argparse.Namespace) -> WritableBackend:
    """The target that the arguments name.

    Raises:
        SettingsError: it is malformed, or can only be read.
    """
    return open_target(args.to, storage_options(args.storage_option))


def mounts_of(spelled: str) -> MountTable:
    """The mounts of the store, or of the application, that ``module:attribute`` names.

    Raises:
        SettingsError: it names neither.
    """
    return mounts_in(load(spelled))


def progress_on(stream: TextIO) -> Progress:
    """A bar on a terminal, where its library is installed; else plain lines."""
    if stream.isatty():
        try:
            from assetstore.publish.bar import Bar

            return Bar(stream)
        except ImportError:
            pass
    return Lines(stream)


def say_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    print()


def say_table(rows: Iterable[tuple[str, ...]], right: frozenset[int] = frozenset()) -> None:
    """Aligned columns; those in *right* end at one place. The last column is never padded."""
    table = list(rows)
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            text.rjust(width) if n in right else text.ljust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
