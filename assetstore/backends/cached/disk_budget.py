"""This module owns how much a disk cache may hold: a ledger that all processes share, under one lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Storage is given out in such pieces, however small a file is.
PIECE = 4096


def on_disk(size: int) -> int:
    """What a file of *size* bytes takes of a disk."""
    return -(-size // PIECE) * PIECE


class DiskBudget:
    """At most *limit* bytes, as the ledger file *path* counts them.

    Args:
        sweep: makes room: removes the least recently used until no more than so many bytes are
            left, and returns what is left.
    """

    def __init__(self, path: Path, limit: int, sweep: Callable[[int], int]) -> None:
        self._path = path
        self._limit = limit
        self._sweep = sweep

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Book *size* bytes, making room first; what is written inside is booked when it is written."""
        with self._locked() as ledger:
            used = _read(ledger)
            if used is None or used + size > self._limit:
                # A tenth more than needed, so that the next few need no sweep. A sweep also mends a
                # ledger that a crash left wrong.
                used = self._sweep(max(0, self._limit - self._limit // 10 - size))
            _write(ledger, used + size)
            yield

    @contextmanager
    def _locked(self) -> Iterator[int]:
        import fcntl  # POSIX alone has it; DiskCache refuses other systems at wiring

        ledger = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            yield ledger
        finally:
            os.close(ledger)  # gives back the lock, as the end of the process would


def _read(ledger: int) -> int | None:
    text = os.pread(ledger, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _write(ledger: int, used: int) -> None:
    os.pwrite(ledger, f"{used:<32}".encode("ascii"), 0)
