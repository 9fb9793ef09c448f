"""This module owns ``assetstore url``: prints the URL that an application gives an asset."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from functools import reduce

from starlette.routing import NoMatchFound

from assetstore.commands.base import Subparsers
from assetstore.errors import SettingsError
from assetstore.store import AssetStore


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    parser = subparsers.add_parser("url", help="print an asset's URL")
    parser.add_argument("name", metavar="NAME", help="the mount's name, as 'assets'")
    parser.add_argument("file", metavar="FILE", help="the asset's path below the mount's root, as 'css/app.css'")
    parser.add_argument(
        "--app",
        required=True,
        metavar="MODULE:ATTR",
        help="where the AssetStore is, or the application with its routes",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    print(url_of(load(args.app), args.name, args.file))
    return 0


def load(spelled: str) -> object:
    """The object that ``module:attribute`` names; the current directory is looked in first.

    Raises:
        SettingsError: there is no such module or attribute, or the module fails when imported.
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


def url_of(app: object, name: str, file: str) -> str:
    """The URL of *file* in the mount called *name*, as *app* gives it.

    Raises:
        SettingsError: *app* is neither an AssetStore nor an application with one's routes.
        MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetStore.url_for`.
    """
    if isinstance(app, AssetStore):
        return app.url_for(name, file=file)
    url_path_for = getattr(app, "url_path_for", None)
    if url_path_for is None:
        raise SettingsError(
            f"--app names a {type(app).__name__}; name the AssetStore, or an application with its routes"
        )
    try:
        return str(url_path_for(name, file=file))
    except NoMatchFound:
        raise SettingsError(
            f"the application has no mount named {name!r}; are store.routes among its routes?"
        ) from None
