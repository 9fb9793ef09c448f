"""This module owns the disk cache as readers use it: in a few threads of its own, in our own words.

Facts and blocks of one mount are told apart from another's by the mount's label, so mounts and
processes may share a directory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import fields
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import FileStat
from assetstore.backends.cached.disk import DiskCache
from assetstore.backends.cached.versions import Version

T = TypeVar("T")

#: Threads that read and write at once, and writes that may wait for one; beyond it a block is not kept.
THREADS = 4
WAITING_WRITES = 32

_KEPT = [each.name for each in fields(FileStat) if each.name != "cache"]


class Shelf:
    """What one mount keeps on disk."""

    def __init__(self, label: str, disk: DiskCache) -> None:
        self._label = label
        self._disk = disk
        self._limiter = CapacityLimiter(THREADS)
        self._writes: set[asyncio.Task[Any]] = set()

    async def facts(self, path: str) -> tuple[FileStat, float] | None:
        """What was last known of *path*, and how many seconds ago it was confirmed."""
        return await self._call(self._read_facts, path)

    async def block(self, version: Version, number: int) -> bytes | None:
        """Block *number* of *version*."""
        return await self._call(self._disk.get, self._block_key(version, number))

    async def holds(self, version: Version, numbers: Iterable[int]) -> bool:
        """Whether all those blocks are here."""
        return await self._call(lambda: all(self._disk.holds(self._block_key(version, each)) for each in numbers))

    def keep_facts(self, stat: FileStat) -> None:
        """Keep *stat*, in the background."""
        self._write(self._put_facts, stat)

    def keep_block(self, version: Version, number: int, content: bytes) -> None:
        """Keep a block, in the background; not if too many are waiting already."""
        self._write(self._disk.put, self._block_key(version, number), content)

    def drop(self, path: str) -> None:
        """Forget the facts of *path*, in the background."""
        self._write(self._disk.drop, self._facts_key(path))

    def drop_blocks(self, version: Version, numbers: range) -> None:
        """Forget blocks, in the background, the ones that are only now being written too."""
        self._start(self._drop_after(set(self._writes), version, numbers))

    async def aclose(self) -> None:
        """Let the writes end."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=5)

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        return await to_thread.run_sync(function, *args, limiter=self._limiter)

    def _write(self, function: Callable[..., None], *args: Any) -> None:
        if len(self._writes) < WAITING_WRITES:
            self._start(self._call(function, *args))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _drop_after(self, writes: set[asyncio.Task[Any]], version: Version, numbers: range) -> None:
        if writes:
            await asyncio.wait(writes)
        for number in numbers:
            await self._call(self._disk.drop, self._block_key(version, number))

    def _facts_key(self, path: str) -> str:
        return f"facts\0{self._label}\0{path}"

    def _block_key(self, version: Version, number: int) -> str:
        return "\0".join(["block", self._label, *map(repr, version), str(number)])

    def _read_facts(self, path: str) -> tuple[FileStat, float] | None:
        key = self._facts_key(path)
        age, content = self._disk.age_seconds(key), self._disk.get(key)
        if age is None or content is None:
            return None
        try:
            return FileStat(**json.loads(content)), age
        except (ValueError, TypeError):
            return None  # of another release's format

    def _put_facts(self, stat: FileStat) -> None:
        content = json.dumps({name: getattr(stat, name) for name in _KEPT}).encode()
        key = self._facts_key(stat.path)
        if self._disk.get(key) == content:
            self._disk.confirm(key)
        else:
            self._disk.put(key, content)
