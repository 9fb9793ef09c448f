"""This module owns how the progress of a publish is told: not at all, or in plain lines.

A bar for terminals stands in :mod:`assetstore.publish.bar`.
"""

from __future__ import annotations

import time
from typing import Protocol, TextIO

#: Plain lines come at most this often, so that a log of a large publish stays short.
LINE_SECONDS = 5.0


class Progress(Protocol):
    """Is told of each stage and of each file that is finished."""

    def begin(self, stage: str, files: int, size: int) -> None:
        """A stage with *files* files begins; *size* is their bytes, 0 where they are not known."""

    def advance(self, size: int) -> None:
        """One file of *size* bytes is finished."""

    def end(self) -> None:
        """The stage is finished, or has failed."""


class Silent:
    """Says nothing."""

    def begin(self, stage: str, files: int, size: int) -> None:
        """Nothing is said."""

    def advance(self, size: int) -> None:
        """Nothing is said."""

    def end(self) -> None:
        """Nothing is said."""


class Lines:
    """One line at the beginning of a stage, at its end, and every few seconds between."""

    def __init__(self, stream: TextIO, seconds: float = LINE_SECONDS) -> None:
        self._stream = stream
        self._seconds = seconds
        self._stage, self._files, self._done, self._next = "", 0, 0, 0.0

    def begin(self, stage: str, files: int, size: int) -> None:
        self._stage, self._files, self._done = stage, files, 0
        self._next = time.monotonic() + self._seconds
        self._say(f"{stage}: {files} to go" + (f", {bytes_text(size)}" if size else ""))

    def advance(self, size: int) -> None:
        self._done += 1
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._say(f"{self._stage}: {self._done} of {self._files}")

    def end(self) -> None:
        self._say(f"{self._stage}: {self._done} of {self._files}" + (", done" if self._done >= self._files else ""))

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def bytes_text(size: float) -> str:
    """*size* bytes for people: ``3.2 MB``; decimal units, as storage is billed."""
    if size < 1000:
        return f"{int(size)} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
