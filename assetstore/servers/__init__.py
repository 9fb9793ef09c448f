"""The servers that ``assetstore serve`` runs on; the first that is installed is taken."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Protocol, cast

from assetstore.errors import SettingsError
from assetstore.servers.listen import Listen

#: Doors by the name of their library, the fastest first. Each is a module of this package with ``run``.
SERVERS = ("granian", "uvicorn")


class Server(Protocol):
    """What a interface's module holds."""

    def run(self, listen: Listen, *, workers: int, log: bool) -> None:
        """Serve the tree that :meth:`Tree.to_environment` left, until a signal ends it."""


def open_server(wanted: str | None = None, interfaces: Sequence[str] = SERVERS) -> Server:
    """The interface called *wanted*, or the first whose library is installed.

    Raises:
        SettingsError: the library is not installed; the message says how to get it.
    """
    choices = interfaces if wanted is None else [wanted]
    for name in choices:
        if importlib.util.find_spec(name) is not None:
            return cast("Server", importlib.import_module(f"assetstore.servers.{name}"))
    raise SettingsError(
        f"serving needs {' or '.join(choices)}, which is not installed: pip install 'assetstore[serve]'"
    )
