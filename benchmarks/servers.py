"""The servers that are measured: how each is started, pinned to one core, and stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import client_core, pinned, server_core

#: How long a server may take to listen, in seconds.
PATIENCE_SECONDS = 60.0

_NGINX = """
daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log {scratch}/error.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
  server {{ listen 127.0.0.1:{port}; location /assets/ {{ alias {tree}/; open_file_cache max=20000; }} }}
}}
"""


def uvicorn(app: str, port: int) -> list[str]:
    """uvicorn with what makes it fastest."""
    fastest = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", app, "--port", str(port), *fastest]


def granian(app: str, port: int, interface: str = "asgi") -> list[str]:
    """granian with one worker and one thread of each kind."""
    command = [sys.executable, "-m", "granian", app, "--interface", interface, "--port", str(port)]
    threads = ["--workers", "1", "--runtime-threads", "1", "--blocking-threads", "1"]
    return [*command, *threads, "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]


def serve(root: Path, port: int) -> list[str]:
    """Our own command."""
    return [sys.executable, "-m", "assetstore", "serve", str(root), "--port", str(port)]


def program(module: str, port: int) -> list[str]:
    """A module of this package that serves by itself, on the port it is told."""
    return [sys.executable, "-m", module, str(port)]


def nginx(tree: Path, scratch: Path, port: int) -> list[str] | None:
    """nginx over *tree*; ``None`` where it is not installed."""
    found = shutil.which("nginx")
    if found is None:
        return None
    configuration = scratch / "nginx.conf"
    configuration.write_text(_NGINX.format(scratch=scratch, port=port, tree=tree))
    return [found, "-e", str(scratch / "error.log"), "-p", str(scratch), "-c", str(configuration)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: list[str], port: int, environment: Mapping[str, str], *, far: bool = False, pin: bool = True
) -> Iterator[int]:
    """A server that listens on *port*, for as long as the block lasts; its process id.

    One that is *far* stands for another machine, and does not work on the core of what is measured. Without *pin* it
    may use every core, as one with background threads does.

    Raises:
        RuntimeError: it ended, or did not listen in time; with what it said.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            pinned(command, client_core() if far else server_core()) if pin else command,
            stdout=said,
            stderr=said,
            env={**os.environ, **environment},
        )
        try:
            if not _listens(process, port):
                said.seek(0)
                raise RuntimeError(f"{' '.join(command)} does not serve: {said.read().decode(errors='replace')}")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
