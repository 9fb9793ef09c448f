"""``assetstore serve``: a directory or an fsspec URL over HTTP, without an application."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from assetstore.cli.options import Commands, add_command, add_storage_option, naming_options, number, storage_options
from assetstore.servers import SERVERS, Listen, Tree, open_server


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "serve", run, "serve a directory or an fsspec URL")
    parser.add_argument("root", metavar="ROOT", help="a directory, or a URL such as s3://bucket/prefix")
    _add_tree_options(parser.add_argument_group("what is served"))
    _add_server_options(parser.add_argument_group("the server"))


def _add_tree_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--url", default="/assets/", help="the prefix it is served at (%(default)s)")
    group.add_argument(
        "--allowed-ext",
        action="append",
        default=[],
        metavar="EXT",
        help="serve only these, as .css,.js; may be repeated, and '' allows files without extension",
    )
    group.add_argument(
        "--fingerprint",
        choices=("mtime", "content"),
        default="mtime",
        help="what the fingerprints in URLs are made of (%(default)s)",
    )
    group.add_argument("--no-fingerprint", action="store_true", help="URLs carry no fingerprint")
    group.add_argument(
        "--references",
        choices=("rewrite", "strict"),
        help="write fingerprints into what style sheets refer to; 'strict' refuses references to nothing",
    )
    group.add_argument("--manifest", metavar="PATH", help="what 'assetstore publish' wrote: names come from it alone")
    group.add_argument(
        "--index",
        choices=("listing", "lazy"),
        default="listing",
        help="how the names in a bucket are found; 'lazy' for one too large to list (%(default)s)",
    )
    group.add_argument("--private", action="store_true", help="shared caches may not keep the responses")
    group.add_argument("--default-file", metavar="FILE", help="answer the bare prefix with this file, as index.html")
    add_storage_option(group)


def _add_server_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    group.add_argument("--port", type=int, default=8000, help="the port to listen on; 0 takes any (%(default)s)")
    group.add_argument("--uds", metavar="PATH", help="listen on a unix socket instead")
    group.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM), for https")
    group.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    group.add_argument("--workers", type=number(1), default=1, metavar="N", help="processes that serve (%(default)s)")
    group.add_argument("--log", action="store_true", help="write a line for each request")
    group.add_argument("--quiet", action="store_true", help="do not print where it listens")
    group.add_argument("--server", choices=SERVERS, help="the server to run on (the fastest that is installed)")


def run(args: argparse.Namespace) -> int:
    tree = Tree(
        root=args.root,
        url=args.url,
        allowed_ext=extensions(args.allowed_ext),
        fingerprint=False if args.no_fingerprint else args.fingerprint,
        public=not args.private,
        default_file=args.default_file,
        references=args.references,
        manifest=args.manifest,
        index=args.index,
        storage_options=storage_options(args.storage_option),
    )
    with naming_options():  # wired here first, so that a bad value is one clear line
        [mount] = tree.store().mounts
    serve = open_server(args.server)
    listen = Listen(args.host, args.port, args.uds, args.tls_cert, args.tls_key).checked()
    tree.to_environment()
    if not args.quiet:
        print(f"serving {mount.backend.label} at {listen.url}{mount.url.origin} (Ctrl-C ends it)", flush=True)
    serve(listen, workers=args.workers, log=args.log)
    return 0


def extensions(given: Sequence[str]) -> tuple[str, ...]:
    """The extensions of every ``--allowed-ext``, which may hold several with commas between."""
    return tuple(ext.strip() for each in given for ext in each.split(","))
