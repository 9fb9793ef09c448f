"""The same promises over real sockets, behind uvicorn, hypercorn and granian."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from asgi.tree import DATA, MODIFIED_NS, STYLE, plant, put
from asgi.wire import connect, exchange, parse, request_of, until
from servers.processes import ASGI_SERVERS, Process, ProcessStarter

SUPPORT = Path(__file__).parents[1] / "support"
SECRET = b"the bytes outside of the root"
#: Larger than all buffers between a file and a client that does not read.
BIG = 24 * 1024 * 1024
#: More clients than there are threads to read files in: 16 for a mount, and anyio lends 40 in all.
SLOW_CLIENTS = 50


@dataclass(frozen=True, slots=True)
class Served:
    """A server of its own process, and what it serves."""

    process: Process
    root: Path
    #: Whether the server opens large files by their path and sends them itself.
    opens_files: bool

    @property
    def port(self) -> int:
        return self.process.port

    def descriptors(self) -> int:
        """Open descriptors of the server and of its workers."""
        return sum(each.num_fds() for each in self._processes())

    def memory(self) -> int:
        """Bytes of memory that the server and its workers hold."""
        return sum(each.memory_info().rss for each in self._processes())

    def threads(self) -> int:
        """Threads of the server and of its workers."""
        return sum(each.num_threads() for each in self._processes())

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]


@pytest.fixture(scope="module", params=sorted(ASGI_SERVERS))
def served(
    request: pytest.FixtureRequest, start_module_process: ProcessStarter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    root = plant(tmp_path_factory.mktemp("served") / "tree")
    put(root.parent, "secret.txt", SECRET)
    put(root, ".env", SECRET)
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "dir.css").mkdir()
    os.mkfifo(root / "fifo.txt")
    env = {"SERVED_ROOT": str(root)}
    process = start_module_process.asgi("asgi.served:app", server=request.param, folder=SUPPORT, env=env)
    served = Served(process, root, opens_files=request.param == "granian")
    yield served
    assert exchange(served.port, request_of(b"/assets/data.bin")).body == DATA, "it still serves, after all of this"


TARGETS = [
    b"/assets/../secret.txt",
    b"/assets/%2e%2e/secret.txt",
    b"/assets/%2E%2E%2Fsecret.txt",
    b"/assets/..%2fsecret.txt",
    b"/assets/%252e%252e%252fsecret.txt",
    b"/assets/css/%2e%2e/%2e%2e/%2e%2e/secret.txt",
    b"/assets/..%5csecret.txt",
    b"/assets/..\\secret.txt",
    b"/assets/%c0%ae%c0%ae/secret.txt",
    b"/assets/%c0%ae%c0%ae%c0%afsecret.txt",
    b"/assets/%e0%80%ae%e0%80%ae/secret.txt",
    b"/assets/%uff0e%uff0e/secret.txt",
    b"/assets/..;/secret.txt",
    b"/assets//etc/passwd",
    b"//assets/data.bin",
    b"/assets/%2fetc/passwd",
    b"/assets/C:/secret.txt",
    b"/assets/%5c%5cserver%5cshare",
    b"/assets/data.bin%00",
    b"/assets/data.bin%00.txt",
    b"/assets/%00",
    b"/assets/data.bin%0d%0aX-Evil:%201",
    b"/assets/data.bin/",
    b"/assets/data.bin/child",
    b"/assets/%ff%fe",
    b"/assets/%",
    b"/assets/%zz",
    b"/assets/.env",
    b"/assets/%2eenv",
    b"/assets/link.txt",
    b"/assets/dir.css",
    b"/assets/fifo.txt",
    b"/assets/",
    b"/assets/" + b"a" * 10_000,
    b"/assets/" + b"%61" * 3_000,
    b"/assets/" + b"../" * 2_000 + b"etc/passwd",
    b"http://127.0.0.1/assets/../secret.txt",
    b"*",
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: ascii(target)[2:50])
def test_no_spelling_of_a_path_leaves_the_root(served: Served, target: bytes) -> None:
    reply = exchange(served.port, request_of(target))
    assert 400 <= reply.status < 500
    assert SECRET not in reply.body
    assert b"root:" not in reply.body
    assert str(served.root).encode() not in reply.body
    assert "x-evil" not in reply.headers


HEADERS = [
    b"Range: bytes=0-0\r\nRange: bytes=5-6\r\n",
    b"Range: bytes=" + b"0-0," * 5_000 + b"\r\n",
    b"Range:\r\n",
    b"If-None-Match: " + b'"a",' * 5_000 + b"\r\n",
    b"If-None-Match: \xff\xfe\x80\r\n",
    b"If-Modified-Since: \xe2\x82\xac\r\n",
    b"Accept-Encoding: " + b"gzip;q=" * 1_000 + b"\r\n",
    b"Content-Length: 5\r\n",
    b"Expect: 100-continue\r\nContent-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: -1\r\n",
    b": nothing\r\n",
    b"no colon at all\r\n",
    b"X: " + b"x" * 200_000 + b"\r\n",
    b"".join(b"X-%d: x\r\n" % number for number in range(2_000)),
]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: ascii(headers)[2:40])
def test_no_header_makes_a_500_or_a_hang(served: Served, headers: bytes) -> None:
    with connect(served.port) as wire:
        try:
            wire.sendall(request_of(b"/assets/data.bin", headers=headers) + b"body!")
            wire.shutdown(socket.SHUT_WR)
            data = b"".join(iter(lambda: wire.recv(1 << 20), b""))
        except TimeoutError:
            raise
        except OSError:
            return  # refused by the server's own limits
    assert not data or parse(data).status < 500


@pytest.mark.parametrize(
    ("target", "headers", "status", "body"),
    [
        pytest.param(b"/assets/data.bin", b"", 200, DATA, id="a whole file"),
        pytest.param(b"/assets/css/app.css", b"", 200, STYLE, id="a style sheet"),
        pytest.param(b"/assets/css%2Fapp.css", b"", 200, STYLE, id="an encoded slash is a slash"),
        pytest.param(b"/assets/data.bin?v=1#x", b"", 200, DATA, id="a query changes nothing"),
        pytest.param(b"/assets/data.bin", b"Range: bytes=-1\r\n", 206, DATA[-1:], id="the last byte"),
        pytest.param(b"/assets/data.bin", b"If-None-Match: *\r\n", 304, b"", id="not modified"),
        pytest.param(b"/assets/empty.txt", b"", 200, b"", id="an empty file"),
        pytest.param(b"/assets/empty.txt", b"Range: bytes=0-\r\n", 416, None, id="no part of an empty file"),
    ],
)
def test_answers_arrive_as_they_were_planned(
    served: Served, target: bytes, headers: bytes, status: int, body: bytes | None
) -> None:
    reply = exchange(served.port, request_of(target, headers=headers))
    assert reply.status == status
    assert body is None or reply.body == body
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_head_sends_no_body_and_the_connection_goes_on(served: Served) -> None:
    head = b"HEAD /assets/data.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(served.port) as wire:
        wire.sendall(head + request_of(b"/assets/tiny.css"))
        first, found, rest = read_all(wire).partition(b"\r\n\r\n")
    assert found
    assert f"content-length: {len(DATA)}".encode() in first.lower()
    assert parse(rest).body == b"body{}"


def read_all(wire: socket.socket) -> bytes:
    return b"".join(iter(lambda: wire.recv(1 << 20), b""))


def begin(port: int, target: bytes) -> tuple[socket.socket, bytes]:
    """Ask for a large file through a small window and read only the first bytes of the answer."""
    wire = connect(port, receive_buffer=16 * 1024)
    wire.sendall(request_of(target))
    first = b""
    while b"\r\n\r\n" not in first:
        first += wire.recv(4096)
    return wire, first


def fill_buffers() -> None:
    """Wait until every buffer between a file and a client that does not read is full."""
    time.sleep(0.3)


def finish(wire: socket.socket, first: bytes) -> bytes:
    """The rest of the body."""
    with wire:
        parts = [first]
        try:
            while part := wire.recv(1 << 20):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def pattern(letter: bytes) -> bytes:
    return letter * BIG


@pytest.fixture
def big(served: Served) -> Iterator[Path]:
    file = put(served.root, "big.bin", pattern(b"a"))
    yield file
    file.unlink(missing_ok=True)


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_a_file_that_goes_while_it_is_sent_arrives_whole_and_not_a_byte_more(
    served: Served, big: Path, change: str
) -> None:
    wire, first = begin(served.port, b"/assets/big.bin")
    fill_buffers()
    if change == "replaced":
        put(served.root, "new.bin", pattern(b"b")).replace(big)
    else:
        big.unlink()
    reply = parse(finish(wire, first))
    assert (reply.status, reply.length, len(reply.body)) == (200, BIG, BIG)
    assert reply.body == pattern(b"a")


@pytest.mark.parametrize("change", ["grown", "written over", "written over and its time set back"])
def test_a_file_that_is_written_to_while_it_is_sent_breaks_the_connection(
    served: Served, big: Path, change: str
) -> None:
    """What arrives whole is one state of the file, where it is the application that reads it."""
    wire, first = begin(served.port, b"/assets/big.bin")
    fill_buffers()
    with big.open("ab" if change == "grown" else "r+b") as file:
        file.write(b"b" * 1_000_000)
    if change == "written over and its time set back":
        os.utime(big, ns=(MODIFIED_NS, MODIFIED_NS))
    reply = parse(finish(wire, first))
    assert (reply.status, reply.length) == (200, BIG)
    assert served.opens_files or len(reply.body) < BIG, "the client can tell that something is missing"


def test_a_file_that_shrinks_while_it_is_sent_breaks_the_connection_and_is_never_padded(
    served: Served, big: Path
) -> None:
    wire, first = begin(served.port, b"/assets/big.bin")
    fill_buffers()
    os.truncate(big, BIG - 1_000_000)
    reply = parse(finish(wire, first))
    assert (reply.status, reply.length) == (200, BIG)
    assert len(reply.body) < BIG, "the client can tell that something is missing"
    assert set(reply.body) == {ord("a")}, "and nothing was made up"


def test_clients_that_leave_in_mid_body_are_forgotten(served: Served, big: Path) -> None:
    exchange(served.port, request_of(b"/assets/data.bin"))
    time.sleep(0.2)
    before = served.descriptors()
    gone = [begin(served.port, b"/assets/big.bin")[0] for _ in range(10)]
    fill_buffers()
    for wire in gone:
        wire.close()
    until(lambda: served.descriptors() <= before)


def test_clients_that_hardly_read_stop_nobody_else(served: Served, big: Path) -> None:
    slow = [begin(served.port, b"/assets/big.bin")[0] for _ in range(20)]
    fill_buffers()
    before = time.perf_counter()
    assert exchange(served.port, request_of(b"/assets/data.bin")).body == DATA
    assert time.perf_counter() - before < 10
    for wire in slow:
        wire.close()


def cold(file: Path) -> Path:
    """Have the machine drop a file from its page cache, where it can, so that reading it takes a thread."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return file


def test_clients_that_read_a_byte_a_second_hold_no_thread_and_no_growing_memory(served: Served, big: Path) -> None:
    exchange(served.port, request_of(b"/assets/data.bin"))
    before, resting = served.descriptors(), served.memory()
    with contextlib.ExitStack() as connections:
        slow = [connections.enter_context(begin(served.port, b"/assets/big.bin")[0]) for _ in range(SLOW_CLIENTS)]
        fill_buffers()
        threads, memory = served.threads(), served.memory()
        for second in range(3):
            began = time.monotonic()
            other = cold(put(served.root, f"other-{second}.txt", DATA))
            assert exchange(served.port, request_of(f"/assets/{other.name}".encode())).body == DATA
            assert b"".join(wire.recv(1) for wire in slow) == b"a" * SLOW_CLIENTS
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        assert served.threads() <= threads + 2
        assert served.memory() < memory + 8 * 1024 * 1024, "it does not grow while they read"
        assert served.memory() < resting + SLOW_CLIENTS * 2 * 1024 * 1024, "and none has its file in memory"
    until(lambda: served.descriptors() <= before)


def test_a_request_that_never_ends_stops_nobody_else(served: Served) -> None:
    with connect(served.port) as wire:
        wire.sendall(b"GET /assets/data.bin HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        assert exchange(served.port, request_of(b"/assets/data.bin")).status == 200


@pytest.mark.soak
def test_a_soak_leaves_descriptors_and_memory_as_they_were(served: Served, big: Path, soak_seconds: float) -> None:
    """Good, conditional, ranged, compressed, missing, hostile and broken-off requests, from several clients at once."""
    requests = [
        request_of(b"/assets/data.bin"),
        request_of(b"/assets/data.bin", headers=b"Range: bytes=0-1,5-6\r\n"),
        request_of(b"/assets/css/app.css", headers=b"Accept-Encoding: br\r\n"),
        request_of(b"/assets/data.bin", headers=b"If-None-Match: *\r\n"),
        request_of(b"/assets/data.bin", b"HEAD"),
        request_of(b"/assets/gone-" + b"0" * 64 + b".css"),
        *(request_of(target) for target in TARGETS[:8]),
    ]

    def run(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for request in requests:
                exchange(served.port, request)
            with connect(served.port, receive_buffer=16 * 1024) as wire:
                wire.sendall(request_of(b"/assets/big.bin"))
                wire.recv(1000)

    def run_together(seconds: float) -> None:
        clients = [threading.Thread(target=run, args=(seconds,)) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    run_together(soak_seconds / 3)  # buffers, pools and caches fill
    time.sleep(0.5)
    descriptors, memory, logged = served.descriptors(), served.memory(), len(served.process.output)
    run_together(soak_seconds)
    until(lambda: served.descriptors() <= descriptors + 2)
    assert served.memory() < memory + 24 * 1024 * 1024
    assert "Traceback" not in served.process.output[logged:]
