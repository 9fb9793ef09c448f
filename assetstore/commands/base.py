"""This module owns what a command's room holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers = Any


class Command(Protocol):
    """One command: a module with these two functions."""

    def add_parser(self, subparsers: Subparsers) -> argparse.ArgumentParser:
        """Add the command's own parser and return it."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit code. Raises only AssetStoreError on purpose."""
