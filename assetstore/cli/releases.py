"""``assetstore releases``, ``rollback`` and ``prune``: what a target holds beside the live release."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from assetstore.cli.options import (
    Commands,
    add_command,
    add_live_options,
    add_target_options,
    after_live,
    check_live_options,
    number,
    print_json,
    print_table,
    progress_on,
    target_of,
)
from assetstore.cli.publish import PENDING
from assetstore.publish.progress import bytes_text
from assetstore.publish.prune import MAX_DELETES, Holding, Keep, PrunePlan, age, apply, check_limit, holdings, plan
from assetstore.publish.releases import Releases
from assetstore.publish.rollback import PREVIOUS, rollback


def add_parsers(commands: Commands) -> None:
    listing = add_command(commands, "releases", list_releases, "list the releases that a target keeps")
    add_target_options(listing)

    back = add_command(commands, "rollback", roll_back, "make an earlier release the live one again")
    add_target_options(back)
    add_live_options(back)
    back.add_argument("release", metavar="ID", help=f"a release's id, or '{PREVIOUS}'")

    pruning = add_command(
        commands,
        "prune",
        prune,
        "delete what no kept release needs; without --yes only print what would be deleted, and exit 5 if anything would",
    )
    add_target_options(pruning)
    pruning.add_argument(
        "--keep", type=number(1), default=5, metavar="N", help="keep the last N releases (%(default)s)"
    )
    pruning.add_argument("--younger-than", default="", metavar="AGE", help="keep every release younger, as 30d or 12h")
    pruning.add_argument(
        "--max-deletes",
        default=MAX_DELETES,
        metavar="LIMIT",
        help="refuse to delete more than this number of objects, or this share, as 30%% (%(default)s)",
    )
    pruning.add_argument("--yes", action="store_true", help="delete; without it the plan is only printed")


def list_releases(args: argparse.Namespace) -> int:
    releases = Releases(target_of(args))
    found = holdings(releases, releases.require())
    if args.json:
        print_json({"releases": [_holding_json(each) for each in found]})
        return 0
    head = ("", "release", "published (UTC)", "note", "files", "bytes", "only here", "bytes only here")
    print_table([head, *map(_holding_row, reversed(found))], frozenset({4, 5, 6, 7}))
    return 0


def _holding_row(each: Holding) -> tuple[str, ...]:
    note = each.note
    when = note.published_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    own = (str(each.own_objects), bytes_text(each.own_size))
    return ("live" if each.live else "", note.id, when, note.note, str(note.files), bytes_text(note.size), *own)


def _holding_json(each: Holding) -> dict[str, object]:
    note = each.note
    return {
        "release": note.id,
        "live": each.live,
        "published_at": note.published_at.astimezone(UTC).isoformat(),
        "note": note.note,
        "files": note.files,
        "bytes": note.size,
        "objects_only_here": each.own_objects,
        "bytes_only_here": each.own_size,
    }


def roll_back(args: argparse.Namespace) -> int:
    check_live_options(args)
    target = target_of(args)
    before = Releases(target).require().current
    live = rollback(target, args.release)
    if args.json:
        print_json({"release": live.release, "files": len(live.entries)})
    else:
        print(f"release {live.release} is live in {target.label}, under fingerprinted and plain names")
    return 0 if after_live(args, before, live, target.label) else 1


def prune(args: argparse.Namespace) -> int:
    keep = Keep(args.keep, age(args.younger_than) if args.younger_than else timedelta(0))
    target = target_of(args)
    found = plan(target, keep, datetime.now(UTC))
    if args.json:
        print_json(_plan_json(found, done=args.yes))
    else:
        print_table(((each.reason, bytes_text(each.size), each.path) for each in found.deletes), frozenset({1}))
    check_limit(found, args.max_deletes)
    if args.yes:
        apply(found, target, progress=progress_on(sys.stderr, as_json=args.json, quiet=args.quiet))
    if not args.json:
        print(_summary(found, done=args.yes))
    return PENDING if found.changes and not args.yes else 0


def _summary(found: PrunePlan, *, done: bool) -> str:
    counts = f"{len(found.deletes)} of {found.objects} objects, {bytes_text(found.size)}"
    releases = f"{len(found.dropped)} releases dropped, {len(found.kept)} kept"
    if found.unfinished:
        releases += f"; {len(found.unfinished)} parts of unfinished uploads"
    ours = f"; {found.foreign} objects are not of any release and are left alone" if found.foreign else ""
    if done:
        return f"deleted {counts}; {releases}{ours}"
    return f"would delete {counts}; {releases}{ours}; add --yes to do it"


def _plan_json(found: PrunePlan, *, done: bool) -> dict[str, object]:
    return {
        "done": done,
        "kept": [each.id for each in found.kept],
        "dropped": [each.id for each in found.dropped],
        "objects": found.objects,
        "foreign": found.foreign,
        "unfinished": [each.path for each in found.unfinished],
        "bytes": found.size,
        "deletes": [{"path": each.path, "size": each.size, "reason": each.reason} for each in found.deletes],
    }
