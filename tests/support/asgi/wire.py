"""HTTP written by hand over a socket, so that a test sees every byte and can be rude."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Longer than any answer takes; a test that runs into it has found a hang.
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class WireReply:
    """One response, and whatever else arrived before the server closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def length(self) -> int:
        """What Content-Length promised."""
        return int(self.headers["content-length"])


def connect(port: int, *, receive_buffer: int | None = None) -> socket.socket:
    """A connection that gives up after :data:`PATIENCE_SECONDS`; a small *receive_buffer* makes a slow client."""
    opened = socket.socket()
    if receive_buffer is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    opened.settimeout(PATIENCE_SECONDS)
    opened.connect(("127.0.0.1", port))
    return opened


def request_of(target: bytes, method: bytes = b"GET", headers: bytes = b"") -> bytes:
    """The bytes of a request whose connection ends with it; *headers* are whole lines."""
    return method + b" " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + headers + b"\r\n"


def exchange(port: int, request: bytes) -> WireReply:
    """Send *request* and read all that comes back."""
    with connect(port) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read to its end
            wire.sendall(request)
        return read_reply(wire)


def read_reply(wire: socket.socket) -> WireReply:
    """Read until the server closes, and take it apart."""
    return parse(b"".join(iter(lambda: _receive(wire), b"")))


def _receive(wire: socket.socket) -> bytes:
    try:
        return wire.recv(1 << 20)
    except ConnectionResetError:
        return b""


def parse(data: bytes) -> WireReply:
    """A response as it came, with nothing repaired."""
    head, found, body = data.partition(b"\r\n\r\n")
    assert found, f"no whole response: {data[:200]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return WireReply(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for ``condition()`` to become true.

    Raises:
        AssertionError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
