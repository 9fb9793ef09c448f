"""This module owns the lock that stands in for a conditional write where a target has none.

It is held for as long as one small file is rewritten. A lock that is left behind by a killed
process is taken over: at once if the process ran on this machine and is gone, else by its age.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from assetstore.backends.base import LearnsConditions, StoredHeaders, WritableBackend, read_bytes
from assetstore.backends.held import HeldFile
from assetstore.errors import AssetNotFound, PublishConflict

#: After this long a lock counts as left behind: what it guards takes a second.
STALE_SECONDS = 300.0
#: How long to wait for somebody else's, and how often to look.
WAIT_SECONDS = 10.0
LOOK_SECONDS = 0.1
#: Where a target cannot refuse a second writer, how long after the first one it may still come.
SETTLE_SECONDS = 0.3

_HEADERS = StoredHeaders("application/json", "no-store")


def publisher() -> str:
    """Who is publishing: user and host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    return f"{user}@{socket.gethostname()}"


class Lock:
    """One lock object, as a context manager.

    Raises:
        PublishConflict: on entering, if somebody else holds it; says who and since when.
    """

    def __init__(self, target: WritableBackend, path: str, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._target = target
        self._path = path
        self._wait_seconds = wait_seconds

    def __enter__(self) -> Lock:
        until = time.monotonic() + self._wait_seconds
        while not self._taken():
            holder = self._holder()
            if holder is not None and _left_behind(holder):
                self._target.delete(self._path)
            elif time.monotonic() >= until:
                raise PublishConflict(_held(holder, f"{self._path} in {self._target.label}"))
            else:
                time.sleep(LOOK_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.delete(self._path)

    def _taken(self) -> bool:
        mine = {
            "owner": publisher(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "at": time.time(),
            "token": secrets.token_hex(16),
        }
        source = HeldFile.of(self._path, json.dumps(mine).encode())
        try:
            self._target.write(self._path, source, _HEADERS, create_only=True)
        except PublishConflict:
            return False
        if isinstance(self._target, LearnsConditions) and not self._target.conditional_creates:
            time.sleep(SETTLE_SECONDS)
        # Where two could write at once, or take over at once, the later one stands there now.
        return self._holder() == mine

    def _holder(self) -> dict[str, Any] | None:
        with suppress(AssetNotFound, ValueError):
            found = json.loads(read_bytes(self._target, self._path))
            return found if isinstance(found, dict) else {}
        return None


def _left_behind(holder: dict[str, Any]) -> bool:
    if holder.get("host") == socket.gethostname() and _gone(holder.get("pid")):
        return True
    at = holder.get("at")
    return not isinstance(at, int | float) or time.time() - at > STALE_SECONDS


def _gone(pid: object) -> bool:
    if not isinstance(pid, int) or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, and belongs to somebody else
        return False
    return False


def _held(holder: dict[str, Any] | None, where: str) -> str:
    if not holder:
        return f"{where} is held by somebody unknown; try again in a few minutes"
    since = datetime.fromtimestamp(float(holder["at"]), UTC).isoformat(timespec="seconds")
    return (
        f"{where} is held by {holder.get('owner')} (process {holder.get('pid')}) since {since}; "
        f"wait for it, or try again: it counts as left behind after {STALE_SECONDS:.0f} seconds"
    )
