"""The running demo: one process, one event loop, two listening sockets.

There is no second process, so nothing can be left behind when this one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from assetstore.errors import SettingsError
from examples.demo.bucket import filled_bucket
from examples.demo.site import ASSETS, Address, make_site, shown

#: How long answers under way may take to end after Ctrl-C.
GRACE_SECONDS = 2


class Server(uvicorn.Server):
    """A server that leaves signals alone: the demo has two, and ends both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(host: str, port: int, cdn_port: int, bucket_url: str) -> int:
    """Serve the site at both addresses until SIGINT or SIGTERM.

    Raises:
        SettingsError: a port is taken, or the bucket cannot be made.
    """
    with listening(host, port, "--port") as site, listening(host, cdn_port, "--cdn-port") as cdn:
        addresses = [Address("own host", _url(site)), Address("another host", _url(cdn))]
        with filled_bucket(bucket_url) as bucket:
            apps = [
                make_site("/assets/", bucket, addresses[0], addresses),
                make_site(addresses[0].url + "assets/", bucket, addresses[1], addresses),
            ]
            _announce(addresses)
            asyncio.run(_serve([(apps[0], site), (apps[1], cdn)]))
    print("\nThe demo has ended.")
    return 0


async def _serve(pairs: list[tuple[ASGIApp, socket.socket]]) -> None:
    servers = [(Server(_config(app)), listener) for app, listener in pairs]
    loop = asyncio.get_running_loop()

    def end() -> None:
        for server, _ in servers:
            server.force_exit = server.should_exit  # a second Ctrl-C waits for nobody
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS
    )


@contextlib.contextmanager
def listening(host: str, port: int, option: str) -> Iterator[socket.socket]:
    """A socket that listens on *host* and *port*; 0 takes any port.

    Raises:
        SettingsError: it is taken; the message shows how to choose another.
    """
    try:
        listener = socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"cannot listen on {host} port {port}: {reason}; choose another: make demo ARGS='{option} {8010 + port % 10}'"
        ) from None
    with listener:
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"


def _announce(addresses: list[Address]) -> None:
    site, cdn = addresses
    print(
        f"""
  {site.url}   assets from this host (ASSETS_URL = "/assets/")
  {cdn.url}   the same application, assets from the other (ASSETS_URL = "{site.url}assets/")

  Save a file under {shown(ASSETS)} and watch its row: it has a new URL within a second.
  Ctrl-C ends all of it.
""",
        flush=True,
    )
