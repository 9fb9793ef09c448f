"""``assetstore importmap``: the import map as JSON, or what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from assetstore.cli.options import Commands, add_app_option, add_command, add_output_options, load, paint, print_json
from assetstore.errors import SettingsError
from assetstore.store import AssetStore
from assetstore.templates.lint import lint


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "importmap", run, "print the import map, or check it")
    add_app_option(parser)
    parser.add_argument("--output", metavar="FILE", help="write it into a file")
    parser.add_argument("--csp-hash", action="store_true", help="print the script-src source that allows the map")
    parser.add_argument(
        "--check", action="store_true", help="print what is wrong, with file and line; exit 1 if anything"
    )
    add_output_options(parser, "with --check: print faults alone")


def run(args: argparse.Namespace) -> int:
    assets = load(args.app)
    if not isinstance(assets, AssetStore):
        raise SettingsError(
            f"--app={args.app!r} names a {type(assets).__name__}; name the AssetStore, as 'shop:assets'"
        )
    if args.check:
        return _check(assets, as_json=args.json, quiet=args.quiet)
    found = assets.importmap_csp_hash() if args.csp_hash else assets.pages.importmap().json
    if args.csp_hash and args.json:
        found = json.dumps({"csp_hash": found})
    if args.output:
        try:
            Path(args.output).write_text(f"{found}\n", "utf-8")
        except OSError as error:
            raise SettingsError(f"--output={args.output!r} cannot be written: {error.strerror}") from error
    else:
        print(found)
    return 0


def _check(assets: AssetStore, *, as_json: bool, quiet: bool) -> int:
    findings = lint(assets.pages.maps, assets.mounts)
    faults = [str(each) for each in findings if each.fault]
    notes = [str(each) for each in findings if not each.fault]
    if as_json:
        print_json({"faults": faults, "notes": notes})
        return 1 if faults else 0
    for each in faults:
        print(paint(each, "red", sys.stderr), file=sys.stderr)
    if not quiet:
        for each in notes:
            print(each)
        count = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}"
        print(count if faults else "the import map and all that it reaches is there")
    return 1 if faults else 0
