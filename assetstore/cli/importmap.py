"""``assetstore importmap``: the import map as JSON, or what is wrong with it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assetstore.cli.options import Commands, add_app_option, add_command, load
from assetstore.errors import SettingsError
from assetstore.store import AssetStore
from assetstore.templates.lint import lint


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "importmap", run, "print the import map, or check it")
    add_app_option(parser)
    parser.add_argument("--output", metavar="FILE", help="write the JSON into a file")
    parser.add_argument("--csp-hash", action="store_true", help="print the script-src source that allows the map")
    parser.add_argument(
        "--check", action="store_true", help="print what is wrong, with file and line; exit 1 if anything"
    )


def run(args: argparse.Namespace) -> int:
    assets = load(args.app)
    if not isinstance(assets, AssetStore):
        raise SettingsError(
            f"--app={args.app!r} names a {type(assets).__name__}; name the AssetStore, as 'shop:assets'"
        )
    if args.check:
        return _check(assets)
    if args.csp_hash:
        print(assets.importmap_csp_hash())
    elif args.output:
        Path(args.output).write_text(f"{assets.pages.importmap().json}\n", "utf-8")
    else:
        print(assets.pages.importmap().json)
    return 0


def _check(assets: AssetStore) -> int:
    findings = lint(assets.pages.maps, assets.mounts)
    for each in findings:
        print(each, file=sys.stderr if each.fault else sys.stdout)
    faults = sum(each.fault for each in findings)
    print(
        f"{faults} {'fault' if faults == 1 else 'faults'}"
        if faults
        else "the import map and all that it reaches is there"
    )
    return 1 if faults else 0
