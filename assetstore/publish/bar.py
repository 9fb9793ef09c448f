"""This module owns the progress bar on a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from assetstore.publish.progress import bytes_text


class Bar:
    """A bar for each stage, on a line of its own."""

    def __init__(self, stream: TextIO) -> None:
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
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns += [TextColumn("{task.fields[size]}"), TimeElapsedColumn(), TimeRemainingColumn()]
        return RichProgress(*columns, console=self._console)
