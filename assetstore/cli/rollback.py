"""This module owns ``assetstore rollback``: makes an earlier release the live one again."""

from __future__ import annotations

import argparse

from assetstore.cli.options import Subparsers, parser_for, say_json, target_of
from assetstore.publish.rollback import PREVIOUS, rollback


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = parser_for(subparsers, "rollback", __doc__, "make an earlier release the live one again")
    parser.add_argument("release", metavar="ID", help=f"a release's id, or '{PREVIOUS}'")
    return parser


def run(args: argparse.Namespace) -> int:
    target = target_of(args)
    live = rollback(target, args.release)
    if args.json:
        say_json({"release": live.release, "files": len(live.entries)})
    else:
        print(f"release {live.release} is live in {target.label}; plain names stay as they are until the next publish")
    return 0
