"""This module owns memory that forgets what was used longest ago, so that it has a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(OrderedDict[_Key, _Value]):
    """A mapping of at most *most* keys. Its owner holds a lock while it changes it."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: _Key, value: _Value) -> _Value:
        """Remember *value* as the one used last, and return it."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
        return value


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: What an entry costs beside its own bytes: key, hash table, object headers.
OVERHEAD_BYTES = 256


class Lru(Generic[K, V]):
    """A mapping that weighs no more than *limit*; each entry weighs what *weight* says, or 1."""

    def __init__(self, limit: int, weight: Callable[[V], int] | None = None) -> None:
        self._limit = limit
        self._weight = weight or (lambda value: 1)
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def get(self, key: K) -> V | None:
        """The value of *key*, which is now the most recently used; ``None`` if it is not here."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep *value*, if it fits at all; others go to make room."""
        self.drop(key)
        weight = self._weight(value)
        if weight > self._limit:
            return
        self._entries[key] = value
        self.weight += weight
        while self.weight > self._limit:
            _, gone = self._entries.popitem(last=False)
            self.weight -= self._weight(gone)

    def drop(self, key: K) -> None:
        """Forget *key*."""
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.weight -= self._weight(gone)


def weight_of_bytes(content: bytes) -> int:
    """What *content* costs in memory."""
    return len(content) + OVERHEAD_BYTES
