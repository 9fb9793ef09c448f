"""This module owns the disk cache: bytes by key, in a directory that processes of one user share.

Bytes stand under the name of their own SHA-256, so a file that was cut short or damaged is known by
its name and is a miss, and equal bytes are kept once. A key is a small file that holds such a name.
Files appear whole (written aside, then renamed); the least recently used go when room is needed.

The library diskcache was weighed: it pickles, keeps no checksum, and counts its size per process.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from assetstore.backends.cached.disk_budget import DiskBudget, on_disk
from assetstore.errors import SettingsError

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
        self._budget = DiskBudget(root / "ledger", limit, self._sweep)
        self._limit = limit

    def get(self, key: str) -> bytes | None:
        """The bytes of *key*; ``None`` if they are not here, or not as they were."""
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
        """Keep *content*. A disk that is full or read-only keeps nothing, and that is no error."""
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
        """Seconds since *key* was put or confirmed; ``None`` if it is not here."""
        try:
            return max(0.0, time.time() - _place(self._keys, _digest(key)).stat().st_mtime)
        except OSError:
            return None

    def confirm(self, key: str) -> None:
        """What *key* says is still so."""
        with suppress(OSError):
            os.utime(_place(self._keys, _digest(key)))

    def drop(self, key: str) -> None:
        """Forget *key*; its bytes go with the next sweep."""
        with suppress(OSError):
            _place(self._keys, _digest(key)).unlink()

    def holds(self, key: str) -> bool:
        """Whether *key* has bytes here; they are not looked at."""
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
    """Refuse what another user may write to or has put there; shut it to all others."""
    facts = root.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise SettingsError(f"{str(root)!r} belongs to somebody else; name a directory of your own as disk_path")
    root.chmod(0o700)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _place(folder: Path, digest: str) -> Path:
    return folder / digest[:2] / digest


def _files(folder: Path, only: Path | None = None) -> list[tuple[float, int, Path]]:
    """Modified time, size and path of every file two levels down (or of those in *only*)."""
    found = []
    for shelf in (only,) if only else folder.iterdir():
        with suppress(OSError):
            for file in shelf.iterdir():
                facts = file.stat()
                found.append((facts.st_mtime, facts.st_size, file))
    return found
