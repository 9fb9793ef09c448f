"""A mapping with a bound that drops the least recently used entries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, overload

from assetstore.util import reset_after_fork

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

#: What an entry costs besides its own bytes: key, hash table, object headers.
OVERHEAD_BYTES = 256


class LRU(Generic[K, V]):
    """At most *max_count* entries that together weigh at most *max_weight*; threads may share one.

    Args:
        max_count: entries; ``None`` for no bound of their number.
        max_weight: sum of the weights; ``None`` for no bound. A value that is heavier by itself is not kept.
        weight: the weight of one value, by default 1.
    """

    def __init__(
        self, max_count: int | None = None, *, max_weight: int | None = None, weight: Callable[[V], int] | None = None
    ) -> None:
        self._max_count = max_count
        self._max_weight = max_weight
        self._weigh = weight
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()
        #: Sum of the weights now; 0 without *weight*.
        self.weight = 0
        reset_after_fork(self)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        """The keys, the least recently used first, as they were when this was called."""
        with self._lock:
            return iter(list(self._entries))

    def items(self) -> list[tuple[K, V]]:
        """The entries, the least recently used first; none of them counts as used."""
        with self._lock:
            return list(self._entries.items())

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        """The value of *key*, which is now the most recently used; *default* if there is none."""
        with self._lock:
            try:
                self._entries.move_to_end(key)
            except KeyError:
                return default
            return self._entries[key]

    def put(self, key: K, value: V) -> V:
        """Keep *value* as the most recently used, if it fits at all, and return it."""
        with self._lock:
            self._drop(key)
            weight = self._weigh(value) if self._weigh else 0
            if self._max_weight is None or weight <= self._max_weight:
                self._entries[key] = value
                self.weight += weight
                self._evict()
        return value

    def drop(self, key: K) -> V | None:
        """Remove *key*; its value, ``None`` if there was none."""
        with self._lock:
            return self._drop(key)

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._entries.clear()
            self.weight = 0

    def _drop(self, key: K) -> V | None:
        if key not in self._entries:
            return None
        value = self._entries.pop(key)
        if self._weigh is not None:
            self.weight -= self._weigh(value)
        return value

    def _evict(self) -> None:
        while (self._max_count is not None and len(self._entries) > self._max_count) or (
            self._max_weight is not None and self.weight > self._max_weight
        ):
            _, value = self._entries.popitem(last=False)
            if self._weigh is not None:
                self.weight -= self._weigh(value)

    def after_fork(self) -> None:
        self._lock = threading.Lock()


def weight_of_bytes(content: bytes) -> int:
    """What *content* costs in memory, in bytes."""
    return len(content) + OVERHEAD_BYTES
