"""The servers that ``assetstore serve`` runs on, the fastest first; the first that is installed is taken."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from assetstore.errors import SettingsError
from assetstore.servers.app import FACTORY, RSGI_FACTORY
from assetstore.servers.listen import Listen

#: How long responses under way may take to end once the server was told to stop, in seconds.
GRACE_SECONDS = 10


class Run(Protocol):
    """Serve the tree that :meth:`Tree.to_environment` left, until a signal ends it."""

    def __call__(self, listen: Listen, *, workers: int, log: bool) -> None: ...


def run_granian(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve by granian, through RSGI."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        RSGI_FACTORY,
        factory=True,
        interface=Interfaces.RSGI,
        address=listen.host,
        port=listen.port,
        uds=None if listen.uds is None else Path(listen.uds),
        ssl_cert=None if listen.tls_cert is None else Path(listen.tls_cert),
        ssl_key=None if listen.tls_key is None else Path(listen.tls_key),
        websockets=False,
        workers=workers,
        log_access=log,
        log_level=LogLevels.info if log else LogLevels.warning,
        workers_kill_timeout=GRACE_SECONDS,
    ).serve()


def run_uvicorn(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve by uvicorn, through ASGI."""
    import uvicorn

    uvicorn.run(
        FACTORY,
        factory=True,
        host=listen.host,
        port=listen.port,
        uds=listen.uds,
        ssl_certfile=listen.tls_cert,
        ssl_keyfile=listen.tls_key,
        workers=workers,
        access_log=log,
        log_level="info" if log else "warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


#: By the name of their library.
SERVERS: dict[str, Run] = {"granian": run_granian, "uvicorn": run_uvicorn}


def open_server(wanted: str | None = None, names: Sequence[str] = tuple(SERVERS)) -> Run:
    """The server called *wanted*, or the first of *names* whose library is installed.

    Raises:
        SettingsError: the library is not installed; the message says how to get it.
    """
    choices = names if wanted is None else [wanted]
    for name in choices:
        if importlib.util.find_spec(name) is not None:
            return SERVERS[name]
    raise SettingsError(
        f"serving needs {' or '.join(choices)}, which is not installed: pip install 'assetstore[serve]'"
    )
