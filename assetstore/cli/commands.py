"""This module owns the list of commands: one room each, in the order in which ``--help`` names them."""

from __future__ import annotations

from assetstore.cli import check, importmap, prune, publish, releases, rollback, serve, url
from assetstore.cli.options import Command

COMMANDS: tuple[Command, ...] = (serve, url, importmap, publish, releases, rollback, prune, check)
