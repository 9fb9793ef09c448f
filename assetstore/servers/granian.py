"""granian, through RSGI."""

from __future__ import annotations

from pathlib import Path

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from assetstore.servers.app import RSGI_FACTORY
from assetstore.servers.listen import Listen

#: How long answers under way may take to end once the server was told to stop.
GRACE_SECONDS = 10


def run(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve the tree in the environment until a signal ends it."""
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
