"""Every file is asked for, and one that is not there does not pass for one that is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import tree, visitors, wrk


@contextmanager
def answering(status: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives every request the same answer: its port, and the request lines that it saw."""
    seen: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            left = b""
            while received := connection.recv(1 << 16):
                *requests, left = (left + received).split(b"\r\n\r\n")
                seen.extend(request.splitlines()[0] for request in requests)
                connection.sendall(
                    (b"HTTP/1.1 " + status + b"\r\ncontent-length: 17\r\n\r\n" + tree.WIDE) * len(requests)
                )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], seen
        finally:
            thread.join(10)


def test_every_path_is_asked_for_once_and_in_order() -> None:
    paths = [f"/assets/{number}.css" for number in range(2 * visitors.AT_ONCE + 3)]
    with answering(b"200 OK") as (port, seen):
        visitors.visit(port, paths)
    assert seen == [f"GET {path} HTTP/1.1".encode() for path in paths]


def test_a_file_that_is_not_there_ends_the_visit() -> None:
    with answering(b"404 Not Found") as (port, _), pytest.raises(wrk.WrongAnswer, match="not there"):
        visitors.visit(port, ["/assets/1.css"])
