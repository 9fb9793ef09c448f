"""This module owns ``assetstore releases``: lists the releases that a target keeps."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from assetstore.cli.options import Subparsers, parser_for, say_json, say_table, target_of
from assetstore.publish.progress import bytes_text
from assetstore.publish.prune import Holding, holdings
from assetstore.publish.releases import Ledger


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    return parser_for(subparsers, "releases", __doc__, "list the releases that a target keeps")


def run(args: argparse.Namespace) -> int:
    books = Ledger(target_of(args))
    found = holdings(books, books.require())
    if args.json:
        say_json({"releases": [_facts(each) for each in found]})
        return 0
    head = ("", "release", "published (UTC)", "by", "files", "bytes", "only here", "bytes only here")
    say_table([head, *map(_row, reversed(found))], frozenset({4, 5, 6, 7}))
    return 0


def _row(each: Holding) -> tuple[str, ...]:
    note = each.note
    when = note.published_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    own = (str(each.own_objects), bytes_text(each.own_size))
    return ("live" if each.live else "", note.id, when, note.publisher, str(note.files), bytes_text(note.size), *own)


def _facts(each: Holding) -> dict[str, object]:
    note = each.note
    return {
        "release": note.id,
        "live": each.live,
        "published_at": _iso(note.published_at),
        "publisher": note.publisher,
        "files": note.files,
        "bytes": note.size,
        "objects_only_here": each.own_objects,
        "bytes_only_here": each.own_size,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
