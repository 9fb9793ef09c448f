"""uvicorn."""

from __future__ import annotations

import uvicorn

from assetstore.servers.app import FACTORY
from assetstore.servers.listen import Listen

#: How long answers under way may take to end once the server was told to stop.
GRACE_SECONDS = 10


def run(listen: Listen, *, workers: int, log: bool) -> None:
    """Serve the tree in the environment until a signal ends it."""
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
