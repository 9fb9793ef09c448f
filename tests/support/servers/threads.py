"""ASGI applications served from a thread of the test process, over a real socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve *app* with uvicorn on a free port of 127.0.0.1; yields its address without a closing slash."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="error", server_header=False, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
        thread.start()
        try:
            # Connections wait in the listener's backlog until the server is up.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _server() -> Iterator[Callable[[Any], str]]:
    with contextlib.ExitStack() as exits:
        yield lambda app: exits.enter_context(served(app))


@pytest.fixture
def serve_app() -> Iterator[Callable[[Any], str]]:
    """``serve_app(app)`` serves an ASGI application until the test ends, and returns its address."""
    yield from _server()


@pytest.fixture(scope="module")
def serve_module_app() -> Iterator[Callable[[Any], str]]:
    """As ``serve_app``, until the module's tests end."""
    yield from _server()
