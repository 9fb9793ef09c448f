"""This module owns which application a command is about: what ``--app module:attribute`` names."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator
from functools import reduce

from assetstore.errors import SettingsError
from assetstore.http.routes import AssetNames
from assetstore.mounts import MountTable
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
    """The object that ``module:attribute`` names; the current directory is looked in first.

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
