"""Arguments that several commands share, what they name, and how results are printed."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from assetstore.backends.base import WritableBackend
from assetstore.check import wait_until_live
from assetstore.errors import AssetStoreError, ManifestError, PublishError, SettingsError
from assetstore.http.routes import AssetNames
from assetstore.mounts.mount import MountTable
from assetstore.names.manifest import Manifest
from assetstore.publish.invalidate import Invalidation, changed_names
from assetstore.publish.layout import open_target
from assetstore.publish.progress import JsonLines, Lines, Progress, Silent
from assetstore.store import AssetStore


class StepAfterLive(PublishError):
    """A release is live, and a step after that failed."""


def add_app_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--app``."""
    parser.add_argument(
        "--app",
        required=True,
        metavar="MODULE:ATTR",
        help="where the AssetStore is, or the application with its routes",
    )


def load(spelled: str) -> object:
    """The object that ``module:attribute`` names; the current directory is searched first.

    Raises:
        SettingsError: there is no such module or attribute, or the module cannot be imported.
    """
    module, _, attribute = spelled.partition(":")
    if not module or not attribute:
        raise SettingsError(f"--app={spelled!r} must name a module and an attribute, as 'shop:assets'")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return reduce(getattr, attribute.split("."), importlib.import_module(module))
    except AttributeError as error:
        raise SettingsError(f"--app={spelled!r}: {error}") from error
    except ImportError as error:
        raise SettingsError(f"--app={spelled!r} cannot be imported from {os.getcwd()}: {error}") from error


def mounts_in(app: object) -> MountTable:
    """The mounts of a store, or of an application with a store's routes.

    Raises:
        SettingsError: it is neither.
    """
    if isinstance(app, AssetStore):
        return app.mounts
    for route in _routes(app):
        if isinstance(route, AssetNames):
            return route.mounts
    raise SettingsError(
        f"--app names a {type(app).__name__} without assets; name the AssetStore, or an application with its routes"
    )


def _routes(app: object) -> Iterator[object]:
    for route in getattr(app, "routes", None) or ():
        yield route
        yield from _routes(route)


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = Any


#: One example of each command, as its ``--help`` shows it.
EXAMPLES = {
    "init": "assetstore init --framework fastapi",
    "doctor": "assetstore doctor --app shop:assets --url https://www.example.com",
    "serve": "assetstore serve s3://my-bucket/shop --port 8000 --workers 2",
    "url": "assetstore url assets styles/app.css --app shop:assets",
    "importmap": "assetstore importmap --app shop:assets --check",
    "publish": "assetstore publish --app shop:assets --to s3://my-bucket/shop --siblings br,gz --manifest assets.json",
    "releases": "assetstore releases --to s3://my-bucket/shop --json",
    "rollback": "assetstore rollback --to s3://my-bucket/shop previous",
    "prune": "assetstore prune --to s3://my-bucket/shop --keep 5 --younger-than 30d",
    "check": "assetstore check https://cdn.example.com/ --to s3://my-bucket/shop",
    "completion": 'eval "$(assetstore completion bash)"',
}

_COLOURS = {"red": "31", "yellow": "33"}


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """*text* in *colour* on a terminal; as it is elsewhere, and where ``NO_COLOR`` is set (no-color.org)."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    """Add the command *name*. *run* does it, returns the exit code, and raises only ``AssetStoreError`` on purpose."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[:1].upper()}{what[1:]}.",
        epilog=f"example:\n  {EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_storage_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--storage-option``, which may be repeated."""
    parser.add_argument(
        "--storage-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what the storage needs, as endpoint_url=http://127.0.0.1:9000; JSON values are read as such; "
        "secrets are better kept in the environment",
    )


def storage_options(given: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs as a mapping; a value that is JSON is read as such, any other is text.

    Raises:
        SettingsError: a pair has no ``=``.
    """
    options: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise SettingsError(f"--storage-option={pair!r} is no KEY=VALUE, as endpoint_url=http://127.0.0.1:9000")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def add_output_options(parser: argparse.ArgumentParser, quiet: str) -> None:
    """Add ``--json``, and ``--quiet``, which leaves out what *quiet* says."""
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.add_argument("--quiet", action="store_true", help=quiet)


def number(least: int) -> Callable[[str], int]:
    """Reads an argument that is a whole number of at least *least*."""

    def read(given: str) -> int:
        if not given.isdecimal() or int(given) < least:
            raise argparse.ArgumentTypeError(f"{given!r} is no whole number of at least {least}")
        return int(given)

    return read


#: What messages for callers from Python say, and what the command line has instead.
_AS_OPTIONS = (
    (r", or pass must_exist=False if a build makes it later", ""),
    (r"create it, correct the path", "create it, or correct the path"),
    (r"give a list such as \['\.css', '\.js', ''\]", "a good value is .css,.js"),
    (r"defaults=\{'file': ('[^']*')\} is not known; a good one is .*", r"--default-file=\1 is no file name; a good one is index.html"),
    (r"\ballowed_ext\b", "--allowed-ext"),
    (r"\bfingerprint=False\b", "--no-fingerprint"),
    (r"\bcorrect manifest=", "correct --manifest"),
    (r"\bstorage_options( of \w+)? know no\b", r"--storage-option\1 does not know"),
    (r"\bstorage_options\b", "--storage-option"),
    (r"\b(?P<name>fingerprint|references|manifest|index|url|keep)=", r"--\g<name>="),
)  # fmt: skip


@contextmanager
def naming_options() -> Iterator[None]:
    """Messages of what runs within name options of the command line, not arguments of Python that it does not have.

    Only for what is made of the command's own arguments: an application's errors speak of its code.
    """
    try:
        yield
    except (SettingsError, ManifestError) as error:
        said = str(error)
        for argument, option in _AS_OPTIONS:
            said = re.sub(argument, option, said)
        raise type(error)(said) from error


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``, ``--storage-option``, ``--json`` and ``--quiet``."""
    parser.add_argument(
        "--to", required=True, metavar="TARGET", help="a directory, or s3://, gs://, az://, sftp:// or webdav://"
    )
    add_storage_option(parser)
    add_output_options(parser, "no progress on standard error")


def target_of(args: argparse.Namespace) -> WritableBackend:
    """The target that the arguments name.

    Raises:
        SettingsError: it is malformed, or can only be read.
    """
    with naming_options():
        return open_target(args.to, storage_options(args.storage_option))


def mounts_of(spelled: str) -> MountTable:
    """The mounts of the store, or of the application, that ``module:attribute`` names.

    Raises:
        SettingsError: it names neither.
    """
    return mounts_in(load(spelled))


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add what follows after another release is live: ``--invalidate``, ``--on-live``, ``--wait``."""
    group = parser.add_argument_group("after the release is live")
    group.add_argument(
        "--invalidate",
        action="append",
        default=[],
        metavar="CDN:ID",
        help="invalidate the plain names that changed: cloudfront:DISTRIBUTION, cloudflare:ZONE, fastly:SERVICE or "
        "bunny:PULLZONE; may be repeated",
    )
    group.add_argument(
        "--url", metavar="URL", help="the URL prefix of the files on the CDN, where --app does not say it"
    )
    group.add_argument(
        "--on-live",
        metavar="COMMAND",
        help="run this in a shell, with ASSETSTORE_RELEASE, ASSETSTORE_TARGET and ASSETSTORE_MOUNT in the environment "
        "and the plain names that changed on its standard input",
    )
    group.add_argument("--wait", metavar="URL", help="wait until the CDN at this URL serves the release")
    group.add_argument(
        "--wait-seconds", type=float, default=300.0, metavar="S", help="how long --wait waits (%(default)s)"
    )


def after_live(args: argparse.Namespace, before: Manifest | None, live: Manifest, target: str, base: str = "") -> bool:
    """Do what :func:`add_live_options` added, after *live* took the place of *before* at *target*.

    Returns whether the CDN serves the release, where ``--wait`` wanted to know.

    Raises:
        StepAfterLive: an invalidation or the command failed; the release is live.
    """
    names = changed_names(before, live)
    released = before is None or before.release != live.release
    if released:
        try:
            for spelled in args.invalidate:
                Invalidation.parse(spelled).send(args.url or args.wait or base, names)
        except AssetStoreError as error:
            raise StepAfterLive(f"release {live.release} is live in {target}, but {error}") from error
    if released and args.on_live:
        said = {"RELEASE": live.release, "TARGET": target, "MOUNT": live.mount or ""}
        environment = {**os.environ, **{f"ASSETSTORE_{name}": value for name, value in said.items()}}
        done = subprocess.run(args.on_live, shell=True, env=environment, input="\n".join(names), text=True, check=False)
        if done.returncode:
            raise StepAfterLive(
                f"release {live.release} is live in {target}, but the command of --on-live ended with {done.returncode}"
            )
    if not args.wait:
        return True
    left = wait_until_live(args.wait, live, names if released else (), args.wait_seconds)
    for url in left[:5]:
        print(f"not served after {args.wait_seconds:g} s: {url}", file=sys.stderr)
    return not left


def check_live_options(args: argparse.Namespace) -> None:
    """Refuse what cannot be done before anything is written.

    Raises:
        SettingsError: an option of :func:`add_live_options` is malformed, or lacks a secret.
    """
    for spelled in args.invalidate:
        Invalidation.parse(spelled)
    for given in (args.url, args.wait):
        if given and urlsplit(given).scheme not in {"http", "https"}:
            raise SettingsError(f"{given!r} is no URL; a good one is 'https://cdn.example.com/'")


def progress_on(stream: TextIO, *, as_json: bool = False, quiet: bool = False) -> Progress:
    """A bar on a terminal, where its library is installed; else plain lines, or lines of JSON; nothing if *quiet*."""
    if quiet:
        return Silent()
    if as_json:
        return JsonLines(stream)
    if stream.isatty():
        try:
            from assetstore.publish.progress import Bar

            return Bar(stream)
        except ImportError:
            pass
    return Lines(stream)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    print()


def print_table(rows: Iterable[tuple[str, ...]], right: frozenset[int] = frozenset()) -> None:
    """Aligned columns; those in *right* end at one place. The last column is never padded."""
    table = list(rows)
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            text.rjust(width) if n in right else text.ljust(width)
            for n, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
