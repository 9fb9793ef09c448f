"""Clients that read slowly, and how much memory a server takes to bear them."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

from benchmarks.machine import resident_bytes

#: How many clients read at once, how much each takes at a time, and how long it then waits.
READERS, PIECE_BYTES, PAUSE_SECONDS = 50, 16 * 1024, 0.05


def memory_for_slow_readers(process: int, port: int, path: str, seconds: float) -> float:
    """MiB that the server takes at most, beyond what it took at rest, while clients read *path* slowly."""
    rest = resident_bytes(process)
    most = rest
    with ExitStack() as stack:
        readers = [stack.enter_context(_reader(port, path)) for _ in range(READERS)]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for reader in readers:
                reader.recv(PIECE_BYTES)
            most = max(most, resident_bytes(process))
            time.sleep(PAUSE_SECONDS)
    return (most - rest) / 2**20


def _reader(port: int, path: str) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    return reader
