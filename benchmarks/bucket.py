"""The bucket that is read while measuring: nginx over a folder, which costs next to nothing.

To a client that signs its requests it is an S3 server with path-style addresses: it answers GET, HEAD, ``Range`` and
``If-Match`` with ETag and Last-Modified, and looks at no signature.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import servers

NAME = "bench-bucket"
#: Sizes in bytes, by the folder that holds objects of that size, and how many there are.
OBJECTS = {"4k": (4 * 1024, 2_000), "1m": (1024 * 1024, 300), "50m": (50 * 1024 * 1024, 1)}

_NGINX = """
daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log {scratch}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {log}; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; open_file_cache max=20000; }}
}}
"""


def available() -> bool:
    """Whether nginx is installed."""
    return shutil.which("nginx") is not None


def key(size: str, number: int) -> str:
    """The key of one of the objects of *size*, a name of :data:`OBJECTS`."""
    return f"{size}/{number:05}.bin"


def make(root: Path) -> None:
    """Fill the bucket."""
    noise = random.Random(11)
    for size, (length, count) in OBJECTS.items():
        folder = root / NAME / size
        folder.mkdir(parents=True)
        for number in range(count):
            (root / NAME / key(size, number)).write_bytes(noise.randbytes(length))


@contextmanager
def serving(root: Path, scratch: Path, log: Path | None = None) -> Iterator[str]:
    """The endpoint of a server over *root*, for as long as the block lasts; with *log* it writes a line per request."""
    scratch.mkdir(exist_ok=True)
    port = servers.free_port()
    configuration = scratch / "bucket.conf"
    configuration.write_text(_NGINX.format(scratch=scratch, port=port, root=root, log=log or "off"))
    command = ["nginx", "-e", str(scratch / "error.log"), "-p", str(scratch), "-c", str(configuration)]
    with servers.running(command, port, {}, far=True):
        yield f"http://127.0.0.1:{port}"
