"""This module owns ``--storage-option``: how a command is told what the storage needs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from assetstore.errors import SettingsError


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
