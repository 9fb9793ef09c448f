"""Aiohttp's static route as it is measured: a server of its own."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web

from benchmarks.apps import TREE


def main(port: int) -> None:
    """Serve the tree on *port* until told to stop."""
    app = web.Application()
    app.router.add_static("/assets/", TREE)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=lambda *_: None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
