"""``assetstore url`` and ``assetstore importmap``: what an application writes into its pages."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from assetstore.assets import paths
from assetstore.cli.options import (
    Commands,
    add_app_option,
    add_command,
    add_output_options,
    load,
    mounts_in,
    paint,
    print_json,
)
from assetstore.errors import BackendTimeout, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.base import BackgroundResolver
from assetstore.store import AssetStore
from assetstore.templates.lint import lint

#: How long a name that is made of a remote file's bytes is waited for.
PATIENCE_SECONDS = 60.0


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "url", print_url, "print an asset's URL")
    parser.add_argument("name", metavar="NAME", help="the mount's name, as 'assets'")
    parser.add_argument("file", metavar="FILE", help="the asset's path below the mount's root, as 'css/app.css'")
    add_app_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")

    parser = add_command(commands, "importmap", print_importmap, "print the import map, or check it")
    add_app_option(parser)
    parser.add_argument("--output", metavar="FILE", help="write it into a file")
    parser.add_argument("--csp-hash", action="store_true", help="print the script-src source that allows the map")
    parser.add_argument(
        "--check", action="store_true", help="print what is wrong, with file and line; exit 1 if anything"
    )
    add_output_options(parser, "with --check: print faults alone")


def print_url(args: argparse.Namespace) -> int:
    app = load(args.app)
    url = url_of(app, args.name, args.file)
    found = mounts_in(app).named(args.name).resolver.find(args.file) is not None
    print_json({"url": url, "found": found}) if args.json else print(url)
    if not found:
        print(f"assetstore: {args.name!r} has no file {args.file!r}, so its URL has no fingerprint", file=sys.stderr)
        return 1
    return 0


def url_of(app: object, name: str, file: str) -> str:
    """The URL of *file* in the mount called *name*, as *app* gives it: an AssetStore, or one with its routes.

    Raises:
        SettingsError: *app* is neither.
        MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetStore.url_for`.
        BackendError: the name comes from storage, which fails.
    """
    mount = mounts_in(app).named(name)
    resolver = mount.resolver
    if isinstance(resolver, BackgroundResolver):
        _await_name(mount, resolver, paths.clean(file))
    if isinstance(app, AssetStore):
        return app.url_for(name, file=file)
    return str(app.url_path_for(name, file=file))  # type: ignore[attr-defined]  # mounts_in found a router's route


def _await_name(mount: Mount, resolver: BackgroundResolver, file: str) -> None:
    """Wait until a name that comes over a network is known: no page may, but a command must."""
    resolver.refresh()
    deadline = time.monotonic() + PATIENCE_SECONDS
    resolver.wait(PATIENCE_SECONDS, file)
    while not _is_known(mount, resolver, file):
        if time.monotonic() > deadline:
            raise BackendTimeout(f"{mount.backend.label} did not list {file!r} within {PATIENCE_SECONDS:g} seconds")
        time.sleep(0.01)


def _is_known(mount: Mount, resolver: BackgroundResolver, file: str) -> bool:
    if not resolver.knows(file):
        return False
    asset = mount.resolver.find(file)
    return asset is None or asset.fingerprint is not None or mount.fingerprinter is None


def print_importmap(args: argparse.Namespace) -> int:
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
