"""This module owns how a file beneath a directory is opened so that nothing outside it ever is.

Checking a path and then opening it leaves a gap in which a link can be swapped. So the file is
opened first, and the *descriptor* is asked where it really is: on Linux the kernel answers through
``/proc/self/fd`` for little more than the price of the open. Where the kernel has no such answer,
the resolved path is opened again component by component, following no link at all.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from operator import attrgetter

from assetstore.assets import paths
from assetstore.backends.base import FileSignature
from assetstore.backends.reader import NO_FILE, Mark
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    SettingsError,
    UnsafePath,
)

# Absent on some systems, where they are not needed.
_O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_QUIET = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

# Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
_READ = os.O_RDONLY | _QUIET | getattr(os, "O_NONBLOCK", 0)
# O_PATH finds a file without touching it: no read permission needed, no device woken.
_LOOK = getattr(os, "O_PATH", 0) | _QUIET if hasattr(os, "O_PATH") else _READ

_MISSING = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ENXIO,
    errno.ENODEV,
    errno.EOPNOTSUPP,
    getattr(errno, "EILSEQ", errno.EINVAL),
}
_REFUSED = {errno.EACCES, errno.EPERM}

# What a mark is made of; it has the same hash, since a mark is a tuple.
_facts_of = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


def translate(error: OSError, path: str, label: str) -> AssetStoreError:
    """What the operating system's *error* means in our tree."""
    if error.errno in _MISSING:
        return AssetNotFound(path, label)
    if error.errno in _REFUSED:
        return BackendForbidden(f"no permission to read {path!r} in {label}; check its owner and mode", path=path)
    if error.errno == errno.ETIMEDOUT:
        return BackendTimeout(f"reading {path!r} in {label} timed out: {error.strerror}", path=path)
    return BackendUnavailable(f"cannot read {path!r} in {label}: {error.strerror or error}", path=path)


class LocalRoot:
    """A directory, and the only way to the files beneath it."""

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(directory)
        self._real = ""
        self._prefix = ""
        self._resolve()
        self._open = self._open_and_ask if _kernel_tells_where() else self._open_by_components

    def open(self, path: str) -> tuple[int, os.stat_result, str]:
        """A descriptor for reading the regular file *path*, its facts, and where it really is.

        Raises:
            AssetNotFound, BackendForbidden, BackendUnavailable
        """
        return self._opened(path, _READ)

    def stat(self, path: str) -> os.stat_result:
        """The facts of the regular file *path*; raises as :meth:`open`."""
        descriptor, facts, _ = self._opened(path, _LOOK)
        os.close(descriptor)
        return facts

    def mark(self, path: str) -> Mark:
        """What changes whenever anything about *path* does; :data:`NO_FILE` where there is nothing.

        A link that leads nowhere has a mark, its own: what it leads to may appear without any change
        in the folder of the link.
        """
        place = f"{self.directory}/{path}"
        try:
            return signature_of(os.stat(place))
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                return signature_of(os.lstat(place))
        return NO_FILE

    def glance(self, path: str) -> int:
        """The hash of what :meth:`mark` would say."""
        try:
            return hash(_facts_of(os.stat(f"{self.directory}/{path}")))
        except (OSError, ValueError):
            return hash(self.mark(path))

    def open_marked(self, path: str, mark: Mark) -> int | None:
        """A descriptor of the very file that was marked; ``None`` if *path* leads to another by now.

        The mark names the file itself, whatever leads to it: one that was found inside the directory
        need not be asked again where it is.
        """
        try:
            descriptor = os.open(f"{self.directory}/{path}", _READ)
        except (OSError, ValueError):
            return None
        facts = os.fstat(descriptor)
        # Nothing changes in a file without changing this time of it.
        if facts.st_ino == mark.inode and facts.st_ctime_ns == mark.ctime_ns and facts.st_dev == mark.device:
            return descriptor
        os.close(descriptor)
        return None

    def inside(self, path: str) -> str:
        """The real place where *path* may be written, its links resolved.

        Raises:
            UnsafePath: it would land outside the directory.
        """
        self._resolve()
        parent = os.path.realpath(os.path.join(self._real, os.path.dirname(path)))
        if not self.holds(parent) and parent != self._real:
            raise UnsafePath(f"{path!r} leads outside {self.directory}; remove the link on its way")
        return os.path.join(parent, os.path.basename(path))

    def holds(self, real: str) -> bool:
        """Whether *real*, a path without links, lies beneath the directory."""
        return real.startswith(self._prefix)

    def _opened(self, path: str, flags: int) -> tuple[int, os.stat_result, str]:
        try:
            paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.directory) from None
        try:
            descriptor, real = self._open(path, flags)
        except OSError as error:
            raise translate(error, path, self.directory) from error
        except ValueError:  # a name the system cannot spell
            raise AssetNotFound(path, self.directory) from None
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            raise AssetNotFound(path, self.directory)
        return descriptor, facts, real

    def _open_and_ask(self, path: str, flags: int) -> tuple[int, str]:
        descriptor = os.open(f"{self.directory}/{path}", flags)
        try:
            real = os.readlink(f"/proc/self/fd/{descriptor}")
            if not self.holds(real):
                # The directory may itself be a link that a deploy has just moved.
                self._resolve()
                if not self.holds(real):
                    raise FileNotFoundError(errno.ENOENT, "outside the root", path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, real

    def _open_by_components(self, path: str, flags: int) -> tuple[int, str]:
        self._resolve()
        real = os.path.realpath(os.path.join(self._real, *path.split("/")), strict=True)
        if not self.holds(real):
            raise FileNotFoundError(errno.ENOENT, "outside the root", path)
        if os.open not in os.supports_dir_fd:  # Windows: links need a privilege there
            return os.open(real, flags), real
        *folders, name = os.path.relpath(real, self._real).split(os.sep)
        here = os.open(self._real, os.O_RDONLY | _QUIET | _O_DIRECTORY)
        try:
            for folder in folders:
                deeper = os.open(folder, os.O_RDONLY | _QUIET | _O_DIRECTORY | _O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = deeper
            return os.open(name, flags | _O_NOFOLLOW, dir_fd=here), real
        finally:
            os.close(here)

    def _resolve(self) -> None:
        self._real = os.path.realpath(self.directory)
        self._prefix = self._real.rstrip(os.sep) + os.sep


def signature_of(facts: os.stat_result) -> FileSignature:
    """The signature of the file that *facts* are of."""
    return FileSignature(*_facts_of(facts))


def _kernel_tells_where() -> bool:
    with suppress(OSError):
        descriptor = os.open(os.sep, os.O_RDONLY | _QUIET)
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}") == os.sep
        finally:
            os.close(descriptor)
    return False


def require_directory(directory: str, *, must_exist: bool) -> None:
    """Say at wiring that *directory* is missing or is none.

    Raises:
        SettingsError: it is a file; or, with *must_exist*, it does not exist.
    """
    if os.path.isdir(directory) or (not must_exist and not os.path.lexists(directory)):
        return
    what = "is not a directory" if os.path.lexists(directory) else "does not exist"
    advice = "give the directory that holds the assets"
    if not os.path.lexists(directory):
        advice = "create it, correct the path, or pass must_exist=False if a build makes it later"
    raise SettingsError(f"root {directory!r} {what} (looked in {os.getcwd()!r}); {advice}")
