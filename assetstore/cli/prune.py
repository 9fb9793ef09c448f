"""This module owns ``assetstore prune``: deletes what no kept release needs; shows its plan unless told ``--yes``."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from assetstore.cli.options import Subparsers, parser_for, progress_on, say_json, say_table, target_of
from assetstore.publish.progress import bytes_text
from assetstore.publish.prune import MAX_DELETES, Keep, PrunePlan, age, apply, check_limit, plan


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = parser_for(subparsers, "prune", __doc__, "delete what no kept release needs")
    parser.add_argument("--keep", type=int, default=5, metavar="N", help="keep the last N releases (%(default)s)")
    parser.add_argument("--younger-than", default="", metavar="AGE", help="keep every release younger, as 30d or 12h")
    parser.add_argument(
        "--max-deletes", default=MAX_DELETES, metavar="N|P%%", help="refuse to delete more than this (%(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="delete; without it the plan is only shown")
    return parser


def run(args: argparse.Namespace) -> int:
    keep = Keep(args.keep, age(args.younger_than) if args.younger_than else timedelta(0))
    target = target_of(args)
    found = plan(target, keep, datetime.now(UTC))
    if args.json:
        say_json(_facts(found, done=args.yes))
    else:
        say_table(((each.reason, bytes_text(each.size), each.path) for each in found.deletes), frozenset({1}))
    check_limit(found, args.max_deletes)
    if args.yes:
        apply(found, target, progress=progress_on(sys.stderr))
    if not args.json:
        print(_summary(found, done=args.yes))
    return 0


def _summary(found: PrunePlan, *, done: bool) -> str:
    counts = f"{len(found.deletes)} of {found.objects} objects, {bytes_text(found.size)}"
    releases = f"{len(found.dropped)} releases dropped, {len(found.kept)} kept"
    ours = f"; {found.foreign} objects are not of any release and are left alone" if found.foreign else ""
    if done:
        return f"deleted {counts}; {releases}{ours}"
    return f"would delete {counts}; {releases}{ours}; add --yes to do it"


def _facts(found: PrunePlan, *, done: bool) -> dict[str, object]:
    return {
        "done": done,
        "kept": [each.id for each in found.kept],
        "dropped": [each.id for each in found.dropped],
        "objects": found.objects,
        "foreign": found.foreign,
        "bytes": found.size,
        "deletes": [{"path": each.path, "size": each.size, "reason": each.reason} for each in found.deletes],
    }
