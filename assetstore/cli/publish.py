"""``assetstore publish``, ``releases``, ``rollback`` and ``prune``: a release brought to a target, and what it holds."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assetstore.assets import compression as compress
from assetstore.backends.base import WritableBackend
from assetstore.cli.options import (
    Commands,
    add_app_option,
    add_command,
    add_live_options,
    add_target_options,
    after_live,
    check_live_options,
    mounts_of,
    naming_options,
    number,
    print_json,
    print_table,
    progress_on,
    storage_options,
    target_of,
)
from assetstore.errors import PublishError, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names import manifest as manifests
from assetstore.publish import Published, publish
from assetstore.publish.layout import DryRunBackend, destinations
from assetstore.publish.pool import WORKERS
from assetstore.publish.progress import Silent, bytes_text
from assetstore.publish.prune import MAX_DELETES, Holding, Keep, PrunePlan, age, apply, check_limit, holdings, plan
from assetstore.publish.releases import Releases
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.publish.scan import roots_of

#: The exit code of a dry run that would have changed something.
PENDING = 5
#: Codings by how people spell them: by name, or by the suffix of a sibling.
_CODINGS = {coding: coding for coding in compress.SUFFIXES} | {
    suffix.removeprefix("."): coding for coding, suffix in compress.SUFFIXES.items()
}


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "publish", run_publish, "bring an application's assets to a bucket or a directory")
    add_target_options(parser)
    add_app_option(parser)
    parser.add_argument("--mount", action="append", default=[], metavar="NAME", help="publish only these mounts")
    parser.add_argument("--siblings", default="", metavar="br,zst,gz", help="store encoded siblings beside each file")
    parser.add_argument("--encoding", default="", metavar="br", help="store the files themselves in this coding")
    parser.add_argument(
        "--manifest", metavar="PATH", help="write the release's manifest here too, to ship with the code"
    )
    parser.add_argument("--force", action="store_true", help="write everything again")
    parser.add_argument(
        "--replace", action="store_true", help="publish although the target's live release is of another mount"
    )
    parser.add_argument(
        "--note",
        default="",
        metavar="TEXT",
        help="record this with the release, such as a commit; readable in the target",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be written, and write nothing; exit 5 if anything would",
    )
    parser.add_argument("--workers", type=number(1), default=WORKERS, metavar="N", help="uploads at once (%(default)s)")
    add_live_options(parser)

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


def run_publish(args: argparse.Namespace) -> int:
    siblings = tuple(_coding(each) for each in args.siblings.split(",") if each.strip())
    coding = _coding(args.encoding) if args.encoding else None
    mounts = mounts_of(args.app)
    with naming_options():
        pairs = destinations(mounts, args.mount, args.to, storage_options(args.storage_option))
    if args.manifest and len(pairs) > 1 and "{mount}" not in args.manifest:
        raise SettingsError(
            "--manifest would be written once for each mount; choose one with --mount, or write {mount} in it"
        )
    check_live_options(args)
    results: list[dict[str, Any]] = []
    pending, arrived = False, True
    for mount, target in pairs:
        shipped = args.manifest.replace("{mount}", mount.name or "") if args.manifest else None
        done = publish(
            mount,
            DryRunBackend(target) if args.dry_run else target,
            siblings=siblings,
            coding=coding,
            force=args.force,
            replace_mount=args.replace,
            note=args.note,
            leave_out=() if shipped is None else _below(mount, shipped),
            workers=args.workers,
            progress=Silent() if args.dry_run else progress_on(sys.stderr, as_json=args.json, quiet=args.quiet),
        )
        results.append(_result_json(done, mount, target, dry_run=args.dry_run))
        if not args.json:
            _print(done, target, dry_run=args.dry_run)
        if args.dry_run:
            pending |= done.released
            continue
        if shipped is not None:
            _ship(done, shipped)
        before = None if done.plan.state is None else done.plan.state.current
        arrived &= after_live(args, before, done.manifest, target.label, mount.url.base)
    if args.json:
        print_json({"published": results})
    if pending:
        return PENDING
    return 0 if arrived else 1


def _below(mount: Mount, path: str) -> tuple[str, ...]:
    """The logical path of *path* in the root of the mount, if it is there: a release cannot hold its own manifest."""
    roots = [root.label for root in roots_of(mount.backend) if not root.remote]
    below = [os.path.relpath(os.path.realpath(path), os.path.realpath(root)).replace(os.sep, "/") for root in roots]
    return tuple(each for each in below if not each.startswith(".."))


def _coding(spelled: str) -> str:
    coding = _CODINGS.get(spelled.strip().lower())
    if coding is None:
        raise SettingsError(f"{spelled!r} is no content coding; those are {', '.join(_CODINGS)}")
    return coding


def _ship(done: Published, path: str) -> None:
    try:
        Path(path).write_bytes(manifests.dump(done.manifest))
    except OSError as error:
        raise PublishError(f"published, but the manifest cannot be written to {path}: {error}") from error


def _print(done: Published, target: WritableBackend, *, dry_run: bool) -> None:
    if dry_run:
        writes = [row for row in done.plan.rows if row.writes]
        print_table(
            ((row.reason.value, bytes_text(row.stored.size), row.stored.path) for row in writes), frozenset({1})
        )
    counts = f"{done.new} new ({bytes_text(done.size)}), {done.same} same, in {done.seconds:.1f} s"
    if not done.released:
        print(f"nothing changed in {target.label}: release {done.manifest.release} stays; {counts}")
    elif dry_run:
        would = f"would write {done.new} objects ({bytes_text(done.size)}), {done.same} are the same"
        print(f"nothing was written to {target.label}: a publish {would}, and make a new release live")
    else:
        print(f"release {done.manifest.release} is live in {target.label}; {counts}")


def _result_json(done: Published, mount: Mount, target: WritableBackend, *, dry_run: bool) -> dict[str, Any]:
    return {
        "mount": mount.name,
        "target": target.label,
        "dry_run": dry_run,
        "released": done.released,
        "release": done.manifest.release,
        "new": done.new,
        "same": done.same,
        "bytes": done.size,
        "seconds": round(done.seconds, 3),
        "objects": [
            {
                "path": row.stored.path,
                "asset": row.entry.path,
                "stage": row.stage.label,
                "reason": row.reason.value,
                "size": row.stored.size,
                "coding": row.stored.coding,
            }
            for row in done.plan.rows
        ],
    }


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
