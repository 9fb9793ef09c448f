"""The clients of a soak: some read and check every byte, others leave, trickle and flood."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from urllib.parse import quote

from soak.world import PORTAL, SECRET, World, size_of

#: What may be answered while storage breaks and files change; never 500.
STATUSES = {200, 206, 304, 400, 404, 405, 414, 416, 431, 502, 503, 504}


class Findings:
    """What all clients of one run have seen."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self._immutable: dict[str, str] = {}
        self._lock = threading.Lock()

    def count(self, what: object) -> None:
        with self._lock:
            self.seen[str(what)] += 1

    def blame(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)

    def keep(self, url: str, body: bytes) -> None:
        """A browser keeps *body* for a year: another one under the same URL is wrong."""
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            if self._immutable.setdefault(url, digest) != digest:
                self.wrong.append(f"{url}: two bodies, both immutable")


class Client(threading.Thread):
    """Does one thing again and again until it is told to end."""

    def __init__(self, port: int, world: World, findings: Findings, seed: int) -> None:
        super().__init__(name=f"{type(self).__name__}-{seed}", daemon=True)
        self.port = port
        self.world = world
        self.findings = findings
        self.random = random.Random(seed)
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.visit()
            except (ConnectionError, http.client.BadStatusLine) as error:
                self.findings.count(type(error).__name__)
            except Exception as error:
                self.findings.blame(f"{self.name}: {type(error).__name__}: {error}")
                return

    def visit(self) -> None:
        raise NotImplementedError

    def connect(self, path: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 30)
        connection.sendall(f"GET /media/{path} HTTP/1.1\r\nHost: soak\r\n\r\n".encode())
        return connection


class Reader(Client):
    """Asks for files, parts of files, and files by the names that a page gives them; checks every byte."""

    def visit(self) -> None:
        path = self.random.choice([*self.world.paths, "1-missing.css"])
        size = size_of(path)
        start = self.random.randrange(max(1, size))
        stop = min(size, start + self.random.randrange(1, 400_000))
        ranged = self.random.random() < 0.4
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            url = f"/media/{path}"
            if self.random.random() < 0.4:
                connection.request("GET", f"/url?file={quote(path)}")
                url = connection.getresponse().read().decode()
            connection.request("GET", url, headers={"Range": f"bytes={start}-{stop - 1}"} if ranged and size else {})
            response = connection.getresponse()
            try:
                body, whole = response.read(), True
            except http.client.IncompleteRead as error:
                body, whole = error.partial, False
        self.findings.count(response.status if whole else "broken off")
        if response.status not in STATUSES:
            self.findings.blame(f"{url}: {response.status}")
        if response.status in {200, 206}:
            span = (start, stop) if response.status == 206 else (0, size)
            if SECRET in body or not self.world.is_version(path, body, span, whole=whole):
                self.findings.blame(f"{url}: {response.status} with {len(body)} bytes of no version, {whole=}, {span}")
            if response.status == 200 and whole and "immutable" in response.headers["Cache-Control"]:
                self.findings.keep(url, body)
                if size and body == PORTAL:
                    self.findings.blame(f"{url}: a portal's page, for a year")


class Leaver(Client):
    """Begins a download and resets the connection in the middle."""

    def visit(self) -> None:
        with self.connect(self.random.choice(self.world.paths)) as connection:
            connection.recv(self.random.choice([1, 10_000]))
            time.sleep(self.random.choice([0, 0.02]))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.findings.count("left")
        time.sleep(0.01)


class Trickler(Client):
    """Reads many large files at once, each a kilobyte at a time, and never to the end."""

    #: How many at once, and for how long, in seconds.
    CONNECTIONS, SECONDS = 20, 2.0

    def visit(self) -> None:
        largest = [path for path in self.world.paths if size_of(path) > 1_000_000]
        until = time.monotonic() + self.SECONDS
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(self.connect(self.random.choice(largest))) for _ in range(self.CONNECTIONS)]
            while time.monotonic() < until and not self.ended.is_set():
                for connection in held:
                    connection.recv(1024)
                time.sleep(0.05)
        self.findings.count("trickled")


class Flooder(Client):
    """Sends what no browser does: paths that are long, hostile or of nothing, many of them on one connection."""

    def visit(self) -> None:
        paths = [self._path() for _ in range(20)]
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection, connection.makefile("rb") as answers:
            for path in paths:
                connection.sendall(b"GET /media/" + path + b" HTTP/1.1\r\nHost: soak\r\n\r\n")
                head = b"".join(iter(answers.readline, b"\r\n")) if answers.peek(1) else b""
                if not head:
                    break
                status = int(head[9:12])
                length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
                body = answers.read(int(length[1])) if length else b""
                self.findings.count(status)
                if status not in STATUSES:
                    self.findings.blame(f"{path!r}: {status}")
                if SECRET in body:
                    self.findings.blame(f"{path!r}: a file from outside of the root")
                if length is None:
                    break
        time.sleep(0.05)

    def _path(self) -> bytes:
        number = self.random.randrange(1_000_000)
        return self.random.choice(
            [
                b"no/%d.css" % number,
                b"no/%d/%s.css" % (number, b"x" * 900),
                b"%s" % (b"d/" * 400),
                b"../../etc/passwd",
                b"%2e%2e/%2e%2e/outside/30000-0.bin",
                b"..%5c..%5coutside",
                b"%00%ff%c0%ae",
                b"a" * 1_080,
                b"app-%064x.css" % number,
                b".git/config",
                b"folder",
                b"30000-0.bin/",
            ]
        )


#: One soak's clients.
MIX: tuple[type[Client], ...] = (Reader, Reader, Reader, Reader, Leaver, Leaver, Trickler, Flooder)


def start(port: int, world: World, findings: Findings, seed: int) -> list[Client]:
    """The mix of clients, which have begun."""
    clients = [kind(port, world, findings, seed * 100 + number) for number, kind in enumerate(MIX)]
    for client in clients:
        client.start()
    return clients


def end(clients: list[Client]) -> None:
    """Let them end; one that hangs is wrong."""
    for client in clients:
        client.ended.set()
    for client in clients:
        client.join(timeout=60)
        if client.is_alive():
            client.findings.blame(f"{client.name} hangs")
