"""``assetstore check``: requests the files of a release from a CDN, and says what to change."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from assetstore.backends.base import WritableBackend
from assetstore.check import WORKERS, check, live_entries
from assetstore.check.probes import Expect
from assetstore.check.rules import Item, Report
from assetstore.cli.options import (
    Commands,
    add_command,
    add_output_options,
    add_storage_option,
    mounts_of,
    naming_options,
    number,
    paint,
    print_json,
    print_table,
    storage_options,
)
from assetstore.errors import SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Entry, Manifest, ManifestFile
from assetstore.names.published import ManifestResolver
from assetstore.publish.layout import open_target
from assetstore.publish.releases import Releases

#: How many faults of one kind are printed for people; JSON has them all.
SHOWN = 3


def add_parsers(commands: Commands) -> None:
    what = "request the files of a release through its CDN, and say for each fault what to change"
    parser = add_command(commands, "check", run, what)
    parser.add_argument("where", metavar="URL|RELEASE", help="the CDN's URL, or a release's id (with --to and --app)")
    parser.add_argument("--app", metavar="MODULE:ATTR", help="where the AssetStore or application is")
    parser.add_argument("--mount", metavar="NAME", help="the mount, where the application has several")
    parser.add_argument("--manifest", metavar="PATH|URL", help="the release's manifest, as publish wrote it")
    parser.add_argument(
        "--to", metavar="TARGET", help="where it was published: the live release's manifest is read there"
    )
    add_storage_option(parser)
    parser.add_argument("--sample", type=number(1), metavar="N", help="request only N files, of every kind some")
    parser.add_argument(
        "--write", action="store_true", help="write a file for a moment, to see whether a cache keeps a 404 silently"
    )
    parser.add_argument("--workers", type=number(1), default=WORKERS, metavar="N", help="files at once (%(default)s)")
    add_output_options(parser, "print faults alone")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is checked: the URL, the files, and where a test file can be written."""

    base: str
    entries: Mapping[str, Entry]
    release: str
    expect: Expect
    place: WritableBackend | None


def run(args: argparse.Namespace) -> int:
    subject = _subject(args)
    if args.write and subject.place is None:
        raise SettingsError("--write has no place to write to; give --to, or an --app whose mount can be written to")
    report = check(
        subject.base,
        subject.entries,
        release=subject.release,
        expect=subject.expect,
        sample=args.sample,
        place=subject.place if args.write else None,
        workers=args.workers,
    )
    print_json(_report_json(report)) if args.json else _print(report, quiet=args.quiet)
    return 1 if report.faults else 0


def _subject(args: argparse.Namespace) -> _Subject:
    mount = _mount(args)
    url = "://" in args.where
    with naming_options():
        target = None if args.to is None else open_target(args.to, storage_options(args.storage_option))
        manifest = _manifest(args, mount, target, release="" if url else args.where)
    if manifest is None and mount is None:
        raise SettingsError("which files? give --manifest, --to TARGET, or --app MODULE:ATTR")
    base = args.where if url else _base(mount)
    own = mount.backend if mount is not None and isinstance(mount.backend, WritableBackend) else None
    entries = manifest.entries if manifest is not None else live_entries(mount) if mount is not None else {}
    expect = Expect(public=mount is None or mount.public, application=mount is not None and target is None)
    return _Subject(base, entries, "" if manifest is None else manifest.release, expect, target or own)


def _mount(args: argparse.Namespace) -> Mount | None:
    if args.app is None:
        return None
    mounts = mounts_of(args.app)
    if args.mount is not None:
        return mounts.named(args.mount)
    if len(mounts) != 1:
        raise SettingsError(f"which mount? give --mount, one of {', '.join(mounts.names)}")
    return next(iter(mounts))


def _manifest(
    args: argparse.Namespace, mount: Mount | None, target: WritableBackend | None, release: str
) -> Manifest | None:
    if args.manifest is not None:
        return ManifestFile(args.manifest, storage_options(args.storage_option) or None).read()[0]
    if target is not None:
        releases = Releases(target)
        return releases.manifest(release) if release else releases.require().current
    if release:
        raise SettingsError(
            f"{release!r} is no URL; to check a release by its id, say with --to where it was published"
        )
    resolver = None if mount is None else mount.resolver
    return resolver.manifest if isinstance(resolver, ManifestResolver) else None


def _base(mount: Mount | None) -> str:
    if mount is None or not mount.url.cross_origin:
        raise SettingsError("where is the CDN? give its URL, or an --app whose mount has a full URL")
    return mount.url.base


def _print(report: Report, *, quiet: bool) -> None:
    rows = [("", "looked at", "faults")]
    for item in Item:
        looked, faults = report.counts(item)
        if looked:
            rows.append((item.value, str(looked), str(faults) if faults else "-"))
    if not quiet:
        print_table(rows, frozenset({1, 2}))
    for item in Item:
        faults_of = [each for each in report.faults if each.item is item]
        for each in faults_of[:SHOWN]:
            print(f"\n{paint(item.value, 'red')}: {each.url}\n  saw: {each.saw}\n  change: {each.change}")
        if len(faults_of) > SHOWN:
            print(f"\n{item.value}: {len(faults_of) - SHOWN} more of this kind; --json has them all")
    if not quiet:
        found = f"{len(report.faults)} faults" if report.faults else "all well"
        print(f"\n{report.base}: {found} ({report.files} files, {report.requests} requests)")


def _report_json(report: Report) -> dict[str, object]:
    counts = {item.name.lower(): report.counts(item) for item in Item}
    return {
        "base": report.base,
        "release": report.release,
        "files": report.files,
        "requests": report.requests,
        "items": {name: {"looked_at": looked, "faults": faults} for name, (looked, faults) in counts.items()},
        "faults": [
            {"item": each.item.name.lower(), "url": each.url, "saw": each.saw, "change": each.change}
            for each in report.faults
        ],
    }
