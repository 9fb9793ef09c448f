"""``assetstore url``: the URL that an application gives an asset."""

from __future__ import annotations

import argparse
import sys
import time

from assetstore.assets import paths
from assetstore.cli.options import Commands, add_app_option, add_command, load, mounts_in, print_json
from assetstore.errors import BackendTimeout
from assetstore.mounts.mount import Mount
from assetstore.names.base import BackgroundResolver
from assetstore.store import AssetStore

#: How long a name that is made of a remote file's bytes is waited for.
PATIENCE_SECONDS = 60.0


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "url", run, "print an asset's URL")
    parser.add_argument("name", metavar="NAME", help="the mount's name, as 'assets'")
    parser.add_argument("file", metavar="FILE", help="the asset's path below the mount's root, as 'css/app.css'")
    add_app_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")


def run(args: argparse.Namespace) -> int:
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
