"""Files as they are a minute after they were saved: what is younger than two seconds is never sent as immutable."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SECOND_NS = 1_000_000_000


def saved_a_while_ago(*places: Path, seconds: float = 60.0) -> None:
    """Give each of *places*, and every file below a folder, a time of its own about so long ago."""
    now = time.time_ns() - int(seconds * _SECOND_NS)
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    for number, file in enumerate(file for file in files if file.is_file()):
        then = now + number * 1_000_003
        then += then % _SECOND_NS == 0
        os.utime(file, ns=(then, then))
