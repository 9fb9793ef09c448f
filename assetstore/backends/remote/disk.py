"""The disk cache: bytes by key, in a directory that the processes of one user share.

Bytes are stored under the name of their own SHA-256, so a file that was cut short or damaged is
recognized by its name and is a miss, and equal bytes are stored once. A key is a small file that
holds such a name. Files are written aside and renamed; the least recently used are removed when
space is needed.

The library diskcache pickles, keeps no checksum, and counts its size per process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import secrets
import stat
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from assetstore.backends.base import FileStat, Version
from assetstore.backends.remote.single_flight import SingleFlight
from assetstore.errors import SettingsError

#: Filesystems allocate in such pieces, in bytes.
PIECE = 4096


def on_disk(size: int) -> int:
    """The bytes that a file of *size* bytes takes on disk."""
    return -(-size // PIECE) * PIECE


class Ledger:
    """At most *limit* bytes, counted in the file *path* that all processes lock.

    Args:
        sweep: removes the least recently used until at most so many bytes are left, and returns
            what is left.
    """

    def __init__(self, path: Path, limit: int, sweep: Callable[[int], int]) -> None:
        self._path = path
        self._limit = limit
        self._sweep = sweep

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Count *size* bytes, after making space for them; the caller writes them inside."""
        with self._locked() as ledger:
            used = _read(ledger)
            if used is None or used + size > self._limit:
                # A tenth more than needed, so that the next few need no sweep. A sweep also mends a
                # count that a crash left wrong.
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
            os.close(ledger)  # releases the lock, as the end of the process would


def _read(ledger: int) -> int | None:
    text = os.pread(ledger, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _write(ledger: int, used: int) -> None:
    os.pwrite(ledger, f"{used:<32}".encode("ascii"), 0)


#: The layout of the directory; another number is another cache.
FOLDER = "assetstore-cache-1"

_DIGITS = 64
_LEFTOVER_SECONDS = 3600


class DiskCache:
    """Bytes by key, at most *limit* of them.

    Raises:
        SettingsError: the directory cannot be made, or is not the user's own.
    """

    def __init__(self, path: str | os.PathLike[str], limit: int) -> None:
        if os.name != "posix":
            raise SettingsError("disk_path needs file locks as POSIX has them; leave it out on this system")
        root = Path(path) / FOLDER
        self._keys, self._contents, self._aside = root / "keys", root / "contents", root / "aside"
        try:
            for folder in (root, self._keys, self._contents, self._aside):
                folder.mkdir(mode=0o700, parents=folder is root, exist_ok=True)
            _make_private(root)
        except OSError as error:
            raise SettingsError(f"disk_path={os.fspath(path)!r} is no good for a cache: {error}") from error
        self._budget = Ledger(root / "ledger", limit, self._sweep)
        self._limit = limit

    def get(self, key: str) -> bytes | None:
        """The bytes of *key*; ``None`` if they are not stored, or damaged."""
        name = self._name(key)
        if name is None:
            return None
        file = _place(self._contents, name)
        try:
            content = file.read_bytes()
            if hashlib.sha256(content).hexdigest() == name:
                os.utime(file)  # its last use, for the sweep
                return content
            file.unlink()
        except OSError:
            pass
        return None

    def put(self, key: str, content: bytes) -> None:
        """Store *content*. A disk that is full or read-only stores nothing, and that is no error."""
        size = on_disk(len(content)) + on_disk(_DIGITS)
        if size > self._limit // 4:
            return
        name = hashlib.sha256(content).hexdigest()
        file = _place(self._contents, name)
        with suppress(OSError), self._budget.room_for(0 if file.exists() else size):
            if not file.exists():
                self._write(file, content)
            self._write(_place(self._keys, _digest(key)), name.encode("ascii"))

    def age_seconds(self, key: str) -> float | None:
        """Seconds since *key* was put or confirmed; ``None`` if it is not stored."""
        try:
            return max(0.0, time.time() - _place(self._keys, _digest(key)).stat().st_mtime)
        except OSError:
            return None

    def confirm(self, key: str) -> None:
        """Reset the age of *key*."""
        with suppress(OSError):
            os.utime(_place(self._keys, _digest(key)))

    def drop(self, key: str) -> None:
        """Remove *key*; its bytes go with the next sweep."""
        with suppress(OSError):
            _place(self._keys, _digest(key)).unlink()

    def holds(self, key: str) -> bool:
        """Whether *key* has bytes; they are not verified."""
        name = self._name(key)
        return name is not None and _place(self._contents, name).exists()

    def _name(self, key: str) -> str | None:
        try:
            name = _place(self._keys, _digest(key)).read_text("ascii")
        except (OSError, ValueError):
            return None
        return name if len(name) == _DIGITS and name.isalnum() else None

    def _write(self, file: Path, content: bytes) -> None:
        aside = self._aside / secrets.token_hex(16)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as output:
                output.write(content)
            aside.replace(file)
        except OSError:
            aside.unlink(missing_ok=True)
            raise

    def _sweep(self, target: int) -> int:
        """Remove the least recently used contents, then keys without any; what is left, in bytes."""
        found = sorted(_files(self._contents))
        left = sum(on_disk(size) + on_disk(_DIGITS) for _, size, _ in found)
        for _, size, file in found:
            if left <= target:
                break
            file.unlink(missing_ok=True)
            left -= on_disk(size) + on_disk(_DIGITS)
        for _, _, file in _files(self._keys):
            with suppress(OSError, ValueError):
                if not _place(self._contents, file.read_text("ascii")).exists():
                    file.unlink(missing_ok=True)
        for changed, _, file in _files(self._aside.parent, only=self._aside):
            if time.time() - changed > _LEFTOVER_SECONDS:
                file.unlink(missing_ok=True)
        return left


def _make_private(root: Path) -> None:
    """Refuse a directory that another user owns; close it to all others."""
    facts = root.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise SettingsError(f"{str(root)!r} belongs to another user; name a directory of your own as disk_path")
    root.chmod(0o700)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _place(folder: Path, digest: str) -> Path:
    return folder / digest[:2] / digest


def _files(folder: Path, only: Path | None = None) -> list[tuple[float, int, Path]]:
    """Modified time, size and path of every file two levels down (or of those in *only*)."""
    found = []
    for disk in (only,) if only else folder.iterdir():
        with suppress(OSError):
            for file in disk.iterdir():
                facts = file.stat()
                found.append((facts.st_mtime, facts.st_size, file))
    return found


T = TypeVar("T")

#: Threads that read and write at once, and writes that may wait for one; further blocks are not kept.
THREADS = 4
WAITING_WRITES = 32

_KEPT = [each.name for each in fields(FileStat) if each.name not in {"cache", "signature"}]


class NoDisk:
    """The disk store of a mount without a disk cache: it keeps nothing."""

    async def metadata(self, path: str) -> tuple[FileStat, float] | None:
        """The last known metadata of *path*, and how many seconds ago it was confirmed."""
        return None

    async def block(self, version: Version, number: int) -> bytes | None:
        """Block *number* of *version*."""
        return None

    async def holds(self, version: Version, numbers: Iterable[int]) -> bool:
        """Whether all those blocks are stored."""
        return False

    def keep_metadata(self, stat: FileStat) -> None:
        """Store *stat*, in the background."""

    def keep_block(self, version: Version, number: int, content: bytes) -> None:
        """Store a block, in the background; not if too many writes are waiting."""

    def drop(self, path: str) -> None:
        """Remove the metadata of *path*, in the background."""

    def drop_blocks(self, version: Version, numbers: Iterable[int]) -> None:
        """Remove blocks, in the background, also those whose writing has only begun."""

    async def aclose(self) -> None:
        """Let the writes end."""


class DiskStore(NoDisk):
    """What one mount stores on disk; *label* tells mounts apart that share a directory."""

    def __init__(self, label: str, disk: DiskCache) -> None:
        self._label = label
        self._disk = disk
        self._limiter = CapacityLimiter(THREADS)
        self._writes: set[asyncio.Task[Any]] = set()
        self._reads: SingleFlight[tuple[FileStat, float] | None] = SingleFlight(math.inf)

    async def metadata(self, path: str) -> tuple[FileStat, float] | None:
        return await self._reads.run(path, lambda: self._call(self._read_metadata, path))

    async def block(self, version: Version, number: int) -> bytes | None:
        return await self._call(self._disk.get, self._block_key(version, number))

    async def holds(self, version: Version, numbers: Iterable[int]) -> bool:
        return await self._call(lambda: all(self._disk.holds(self._block_key(version, each)) for each in numbers))

    def keep_metadata(self, stat: FileStat) -> None:
        self._write(self._put_metadata, stat)

    def keep_block(self, version: Version, number: int, content: bytes) -> None:
        self._write(self._disk.put, self._block_key(version, number), content)

    def drop(self, path: str) -> None:
        self._write(self._disk.drop, self._metadata_key(path))

    def drop_blocks(self, version: Version, numbers: Iterable[int]) -> None:
        self._start(self._drop_after(set(self._writes), version, numbers))

    async def aclose(self) -> None:
        await self._reads.aclose()
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

    async def _drop_after(self, writes: set[asyncio.Task[Any]], version: Version, numbers: Iterable[int]) -> None:
        if writes:
            await asyncio.wait(writes)
        for number in numbers:
            await self._call(self._disk.drop, self._block_key(version, number))

    def _metadata_key(self, path: str) -> str:
        return f"facts\0{self._label}\0{path}"

    def _block_key(self, version: Version, number: int) -> str:
        return "\0".join(["block", self._label, *map(repr, version), str(number)])

    def _read_metadata(self, path: str) -> tuple[FileStat, float] | None:
        key = self._metadata_key(path)
        age, content = self._disk.age_seconds(key), self._disk.get(key)
        if age is None or content is None:
            return None
        try:
            return FileStat(**json.loads(content)), age
        except (ValueError, TypeError):
            return None  # of another release's format

    def _put_metadata(self, stat: FileStat) -> None:
        content = json.dumps({name: getattr(stat, name) for name in _KEPT}).encode()
        key = self._metadata_key(stat.path)
        if self._disk.get(key) == content:
            self._disk.confirm(key)
        else:
            self._disk.put(key, content)
