"""The progress of a publish: silent, as plain lines, or as a bar in a terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

#: Plain lines come at most this often, so that a log of a large publish stays short.
LINE_SECONDS = 5.0


class Progress(Protocol):
    """Receives each stage and each file that is finished."""

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


class JsonLines:
    """One JSON object a line: the beginning and the end of each stage, and its progress every second."""

    def __init__(self, stream: TextIO, seconds: float = 1.0) -> None:
        self._stream = stream
        self._seconds = seconds
        self._stage, self._files, self._done, self._size, self._next = "", 0, 0, 0, 0.0

    def begin(self, stage: str, files: int, size: int) -> None:
        self._stage, self._files, self._done, self._size = stage, files, 0, 0
        self._next = time.monotonic() + self._seconds
        self._say("begin", bytes=size)

    def advance(self, size: int) -> None:
        self._done += 1
        self._size += size
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._say("progress", bytes=self._size)

    def end(self) -> None:
        self._say("end", bytes=self._size)

    def _say(self, event: str, **more: int) -> None:
        said = {"event": event, "stage": self._stage, "done": self._done, "files": self._files, **more}
        print(json.dumps(said), file=self._stream, flush=True)


def bytes_text(size: float) -> str:
    """*size* bytes as text: ``3.2 MB``; decimal units, as storage is billed."""
    if size < 1000:
        return f"{int(size)} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


class Bar:
    """A bar for each stage, on a line of its own; needs rich (extra ``publish``), which nothing else imports."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream)
        self._rich = self._fresh()
        self._task = self._rich.add_task("", visible=False, size="")
        self._size = 0

    def begin(self, stage: str, files: int, size: int) -> None:
        self._size = 0
        self._rich = self._fresh()
        self._task = self._rich.add_task(f"{stage:<19}", total=files, size="")
        self._rich.start()

    def advance(self, size: int) -> None:
        self._size += size
        self._rich.update(self._task, advance=1, size=bytes_text(self._size))

    def end(self) -> None:
        self._rich.stop()

    def _fresh(self) -> RichProgress:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns += [TextColumn("{task.fields[size]}"), TimeElapsedColumn(), TimeRemainingColumn()]
        return RichProgress(*columns, console=self._console)
