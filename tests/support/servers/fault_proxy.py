"""An HTTP/1.1 proxy that stands before a real server and can break at any moment.

It passes requests on as they are, ``Host`` included, so signatures hold; it remembers every
request, so that a test can count what a client really asked for.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from servers.faults import HEALTHY, Fault, Hangup, Refuse, Reply, WrongLength

#: Headers of one connection, which the proxy decides for itself.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect"}
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came by."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


Condition = Callable[[Seen], bool]


@dataclass(slots=True)
class _Script:
    fault: Fault = HEALTHY
    when: Condition = staticmethod(lambda seen: True)
    times: int | None = None


class FaultProxy:
    """Listens on a port of 127.0.0.1 and passes on to *upstream* what its fault lets through."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.requests: list[Seen] = []
        self._script = _Script()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._changed = threading.Event()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def use(self, fault: Fault, *, when: Condition | None = None, times: int | None = None) -> None:
        """Break so from the next request on: only where *when* says yes, and only *times* times."""
        self._script = _Script(fault, when or (lambda seen: True), times)
        self._changed.set()
        self._changed = threading.Event()
        if isinstance(fault, Refuse):
            self._stop_listening()
            self.cut()
        else:
            self._listen()

    def heal(self) -> None:
        """Pass everything on again."""
        self.use(HEALTHY)

    def cut(self) -> None:
        """Reset every open connection."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            reset(connection)

    def close(self) -> None:
        self._ended.set()
        self._changed.set()
        self._stop_listening()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=5)

    def fault_for(self, seen: Seen) -> Fault:
        """Remember *seen*, and say what is to go wrong with it."""
        with self._lock:
            self.requests.append(seen)
            script = self._script
            if script.times == 0 or not script.when(seen):
                return HEALTHY
            if script.times is not None:
                script.times -= 1
            return script.fault

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than this fault is in force."""
        self._changed.wait(seconds)
        if self._ended.is_set():
            raise Hangup

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
            self.port = self._listener.getsockname()[1]
            self._spawn(self._accept, self._listener)

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accept of its thread
            listener.close()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="fault-proxy")
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            if self._listener is not listener:  # told to refuse while this one was accepted
                reset(connection)
                continue
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                _Handler(connection, ("127.0.0.1", 0), self)  # type: ignore[arg-type]
        except Hangup:
            reset(connection)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN, whichever thread is reading from it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_any(self) -> None:
        proxy: FaultProxy = self.server
        fault = proxy.fault_for(Seen(self.command, self.path, dict(self.headers.items())))
        request_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = fault.instead(proxy.wait)
        if reply is not None:
            self._reply(reply)
            return
        upstream = http.client.HTTPConnection(proxy.upstream.hostname or "", proxy.upstream.port, timeout=30)
        with contextlib.closing(upstream):
            self._ask(upstream, request_body)
            self._pass_on(upstream.getresponse(), fault, proxy)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

    def _ask(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.putheader("Connection", "close")
        upstream.endheaders(body or None)

    def _pass_on(self, answer: http.client.HTTPResponse, fault: Fault, proxy: FaultProxy) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() == "content-length" and isinstance(fault, WrongLength):
                value = str(int(value) + fault.more)
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        has_no_body = self.command == "HEAD" or answer.status in {204, 304}
        promised = answer.getheader("Content-Length")
        if promised is None and not has_no_body:
            self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        for chunk in () if has_no_body else fault.body(_pieces(answer), proxy.wait):
            self.wfile.write(chunk)
            sent += len(chunk)
        if not has_no_body and str(sent) != promised:
            self.close_connection = True

    def _reply(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are remembered, not printed."""


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := answer.read(PIECE):
        yield chunk


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str], FaultProxy]]:
    """``fault_proxy(upstream_url)`` is a proxy before it that ends with the test."""
    with contextlib.ExitStack() as exits:

        def make(upstream: str) -> FaultProxy:
            proxy = FaultProxy(upstream)
            exits.callback(proxy.close)
            return proxy

        yield make
