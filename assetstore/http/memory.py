"""This module owns which URLs are remembered: the hot ones, within a budget of bytes, whatever else is asked for.

What goes first is chosen as the SIEVE algorithm does (Zhang et al., NSDI 2024). Entries stand in
the order in which they came. A hand goes from the oldest towards the newest: what was asked for
since it last came past is passed over, anything else goes. New entries come in before the hand,
so that one pass over any number of files only evicts those very files. A hit sets one flag, and
so needs no lock.

Doors keep what they answered in tables of their own. Whenever anything is forgotten, so is all of that.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Container, Mapping
from typing import Any

from assetstore.http.answer import Ready
from assetstore.http.remembered import Asked, Known, Remembered, made

#: What plans may take besides the bytes of files, so that a budget of 0 still remembers plans.
PLAN_BYTES = 8 * 1024 * 1024
#: The part of the budget that one file may take: larger ones are read in pieces, or sent by the server itself.
SHARE = 8


class Memory:
    """Remembered URLs, for all mounts of a store.

    Args:
        budget_bytes: for the bytes of files; 0 remembers none of them.
        plan_bytes: for everything else that is remembered of a URL; with 0 as well, nothing is.
    """

    def __init__(self, budget_bytes: int, plan_bytes: int = PLAN_BYTES) -> None:
        self._budget = budget_bytes + plan_bytes
        #: The largest body that may be remembered, in bytes.
        self.max_body = budget_bytes // SHARE
        #: Whether the Host header decides which mount answers.
        self.by_host = False
        self._tables: list[dict[Any, Any]] = []
        self._entries: dict[str, Remembered] = {}
        self._ahead: OrderedDict[str, Remembered] = OrderedDict()
        self._passed: OrderedDict[str, Remembered] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What all entries take together."""
        return self._bytes

    def table(self) -> dict[Any, Any]:
        """For a door to keep answers in, so as to find them at once; emptied when an entry goes, or knows more."""
        self._tables.append({})
        return self._tables[-1]

    def recall(self, key: str, asked: Asked, extensions: Container[str]) -> Ready | None:
        """What the URL remembered as *key* answers to a server with those ASGI *extensions*, if memory knows it."""
        return made(self.known(key, asked), extensions)

    def known(self, key: str, asked: Asked) -> Known | None:
        """What is known of the answer that the URL remembered as *key* gives."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not entry.still_holds():
            self.drop(key, entry)
            return None
        known = entry.answers.get(asked)
        if known is None:
            known = entry.plan(asked)
            self._charge(key, entry)
        return known

    def which_repeats(self, key: str, asked: Asked, known: Known) -> Remembered | None:
        """The entry that tells for how long *known* may be repeated; ``None`` if it is made anew for each request."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.answers.get(asked) is known else None

    def key_of(self, scope: Mapping[str, Any]) -> str:
        """What the URL of a request is remembered as: its path, where nothing else decides who answers."""
        path: str = scope["path"]
        root_path = scope.get("root_path")
        if not root_path and not self.by_host:
            return path
        host = next((value for name, value in scope["headers"] if name == b"host"), b"") if self.by_host else b""
        return f"{path}\n{root_path}\n{host.decode('latin-1').lower()}"

    def get(self, key: str) -> Remembered | None:
        """The entry of a URL, whether or not it still holds."""
        return self._entries.get(key)

    def put(self, key: str, entry: Remembered) -> None:
        """Remember *entry*, in the place of what was remembered of that URL."""
        if self._entries.get(key) is entry:
            self._empty_tables()
            self._charge(key, entry)
            return
        with self._lock:
            self._remove(key)
            if entry.cost > self._budget:
                return
            self._make_room(entry.cost)
            self._entries[key] = self._ahead[key] = entry
            entry.charged, entry.forgotten = entry.cost, False
            self._bytes += entry.charged

    def drop(self, key: str, entry: Remembered) -> None:
        """Forget *entry*, unless another has taken its place."""
        with self._lock:
            if self._entries.get(key) is entry:
                self._remove(key)

    def start_over(self, *, by_host: bool) -> None:
        """Forget everything, since there is another mount; *by_host* says whether the Host header decides who answers."""
        self.by_host = by_host
        with self._lock:
            for entry in self._entries.values():
                entry.forgotten = True
            self._empty_tables()
            self._entries.clear()
            self._ahead.clear()
            self._passed.clear()
            self._bytes = 0

    def _empty_tables(self) -> None:
        for table in self._tables:
            table.clear()

    def _charge(self, key: str, entry: Remembered) -> None:
        if entry.cost == entry.charged:
            return
        with self._lock:
            if self._entries.get(key) is entry:
                self._bytes += entry.cost - entry.charged
                entry.charged = entry.cost
                self._make_room()

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.forgotten = True
            self._empty_tables()
            self._bytes -= entry.charged
            if self._ahead.pop(key, None) is None:
                self._passed.pop(key, None)

    def _make_room(self, wanted: int = 0) -> None:
        while self._entries and self._bytes + wanted > self._budget:
            if not self._ahead:  # the hand has come to the newest, and begins again with the oldest
                self._ahead, self._passed = self._passed, self._ahead
            key, entry = next(iter(self._ahead.items()))
            if entry.visited:
                entry.visited = False
                self._passed[key] = self._ahead.pop(key)
            else:
                self._remove(key)
