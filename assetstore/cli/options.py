"""Arguments that several commands share, what they name, and how results are printed."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, TextIO

from assetstore.backends.base import WritableBackend
from assetstore.errors import SettingsError
from assetstore.http.routes import AssetNames
from assetstore.mounts.mount import MountTable
from assetstore.publish.progress import Lines, Progress
from assetstore.publish.targets import open_target
from assetstore.store import AssetStore


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


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    """Add the command *name*. *run* does it, returns the exit code, and raises only ``AssetStoreError`` on purpose."""
    parser = commands.add_parser(name, help=what, description=f"{what[:1].upper()}{what[1:]}.")
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


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``, ``--storage-option`` and ``--json``."""
    parser.add_argument("--to", required=True, metavar="TARGET", help="s3://bucket/prefix, a directory, an fsspec URL")
    add_storage_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")


def target_of(args: argparse.Namespace) -> WritableBackend:
    """The target that the arguments name.

    Raises:
        SettingsError: it is malformed, or can only be read.
    """
    return open_target(args.to, storage_options(args.storage_option))


def mounts_of(spelled: str) -> MountTable:
    """The mounts of the store, or of the application, that ``module:attribute`` names.

    Raises:
        SettingsError: it names neither.
    """
    return mounts_in(load(spelled))


def progress_on(stream: TextIO) -> Progress:
    """A bar on a terminal, where its library is installed; else plain lines."""
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
