"""Opening a file beneath a directory so that nothing outside it ever is.

Checking a path and then opening it leaves a gap in which a link can be swapped. On Linux the kernel
resolves the path and refuses what leaves the directory (``openat2(2)``, ``RESOLVE_BENEATH``, since
Linux 5.6). It refuses absolute links too; those, and all links where the kernel has no such call, are
resolved first, and the result is opened component by component, following no link at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import attrgetter

from assetstore.assets import paths
from assetstore.backends.base import FileSignature
from assetstore.backends.reader import NO_FILE
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendForbidden,
    BackendTimeout,
    BackendUnavailable,
    SettingsError,
    UnsafePath,
    VersionChanged,
)

# Absent on some systems, where they are not needed.
_O_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_QUIET = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

# Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
_READ = os.O_RDONLY | _QUIET | getattr(os, "O_NONBLOCK", 0)
# O_PATH finds a file without touching it: no read permission needed, no device woken.
# openat2 takes no other flag with it than these.
_LOOK = os.O_PATH | os.O_CLOEXEC if hasattr(os, "O_PATH") else _READ

# A directory to open files beneath; it need not be readable.
_FOLDER = (_LOOK if hasattr(os, "O_PATH") else os.O_RDONLY | _QUIET) | _O_DIRECTORY
#: Whether a file can be looked up in an open directory; not on Windows.
HAS_DIR_FD = os.stat in os.supports_dir_fd

# How often a path is resolved again while its folders are renamed.
_TRIES = 4

# linux/openat2.h: the same number on every architecture but Alpha.
_OPENAT2_NUMBER, _RESOLVE_BENEATH = 437, 0x08


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _find_openat2() -> Callable[..., int] | None:
    """The system call, where there is one and a sandbox lets it through."""
    if platform.system() != "Linux" or platform.machine() == "alpha":
        return None
    call: Callable[..., int] = ctypes.CDLL(None, use_errno=True).syscall
    how = _OpenHow(_FOLDER, 0, _RESOLVE_BENEATH)
    with suppress(OSError):
        root = os.open(os.sep, _FOLDER)
        try:
            descriptor = call(_OPENAT2_NUMBER, root, b".", ctypes.byref(how), ctypes.sizeof(how))
            if descriptor >= 0:
                os.close(descriptor)
                return call
        finally:
            os.close(root)
    return None


_OPENAT2 = _find_openat2()


def _openat2(folder: int, path: str, flags: int) -> int:
    how = _OpenHow(flags, 0, _RESOLVE_BENEATH)
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    assert _OPENAT2 is not None
    descriptor = _OPENAT2(_OPENAT2_NUMBER, folder, name, ctypes.byref(how), ctypes.sizeof(how))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return descriptor


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

# What a signature is made of; it has the same hash, since a signature is a tuple.
_facts_of = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


def translate(error: OSError, path: str, label: str, verb: str = "read") -> AssetStoreError:
    """Our error for the operating system's *error*; *verb* is what was tried."""
    if error.errno in _MISSING:
        return AssetNotFound(path, label)
    if error.errno in _REFUSED:
        return BackendForbidden(f"no permission to {verb} {path!r} in {label}; check its owner and mode", path=path)
    if error.errno == errno.ETIMEDOUT:
        return BackendTimeout(f"cannot {verb} {path!r} in {label}: {error.strerror}", path=path)
    return BackendUnavailable(f"cannot {verb} {path!r} in {label}: {error.strerror or error}", path=path)


class LocalRoot:
    """A directory, and the only way to the files beneath it."""

    def __init__(self, directory: str, *, follow_symlinks: bool = False) -> None:
        self.directory = os.path.abspath(directory)
        self._real = ""
        self._prefix = ""
        self._resolve()
        self._open = self._open_by_components if _OPENAT2 is None else self._open_beneath
        self._follow_symlinks = follow_symlinks
        if follow_symlinks:
            self._open = self._open_anywhere

    def open(self, path: str, flags: int = _READ) -> tuple[int, os.stat_result]:
        """A descriptor for reading the regular file *path*, and its facts.

        Raises:
            AssetNotFound, BackendForbidden, BackendUnavailable
        """
        try:
            paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.directory) from None
        try:
            descriptor = self._open(path, flags)
        except OSError as error:
            raise translate(error, path, self.directory) from error
        except ValueError:  # a name the system cannot spell
            raise AssetNotFound(path, self.directory) from None
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            raise AssetNotFound(path, self.directory)
        return descriptor, facts

    def stat(self, path: str) -> os.stat_result:
        """The facts of the regular file *path*; raises as :meth:`open`."""
        descriptor, facts = self.open(path, _LOOK)
        os.close(descriptor)
        return facts

    def siblings(
        self, path: str, signature: FileSignature | None, suffixes: Iterable[str]
    ) -> tuple[dict[str, os.stat_result], bool]:
        """The facts of the files beside *path* whose names go on with one of *suffixes*, and whether those are all.

        All are looked up in the one folder in which *path* is the file of that *signature*, so that none is of
        another release after a link was switched. They are not all where the system did not say what there is.

        Raises:
            VersionChanged: *path* leads to another file by now.
            AssetNotFound, BackendForbidden, BackendUnavailable: as :meth:`open`, of the folder.
        """
        folder, _, name = path.rpartition("/")
        try:
            parent = self._open(folder, _FOLDER) if folder else os.open(self.directory, _FOLDER)
        except OSError as error:
            raise translate(error, path, self.directory) from error
        found: dict[str, os.stat_result] = {}
        complete = True
        try:
            if signature_of(os.stat(name, dir_fd=parent)) != signature:
                raise VersionChanged(f"{path!r} changed while it was looked up", path=path)
            for suffix in suffixes:
                try:
                    facts = os.stat(name + suffix, dir_fd=parent, follow_symlinks=False)
                    if stat.S_ISLNK(facts.st_mode):
                        facts = self._linked(path + suffix, os.stat(name + suffix, dir_fd=parent))
                except AssetNotFound:
                    continue
                except AssetStoreError:
                    complete = False
                except OSError as error:
                    complete = complete and error.errno in _MISSING
                else:
                    if stat.S_ISREG(facts.st_mode):
                        found[suffix] = facts
        except OSError as error:
            raise translate(error, path, self.directory) from error
        finally:
            os.close(parent)
        return found, complete

    def _linked(self, path: str, target: os.stat_result) -> os.stat_result:
        """The facts of *path*, a link, if it leads to *target* and that may be served."""
        facts = self.stat(path)
        if signature_of(facts) != signature_of(target):
            raise VersionChanged(f"{path!r} changed while it was looked up", path=path)
        return facts

    def signature(self, path: str) -> FileSignature:
        """What changes whenever anything about *path* does; :data:`NO_FILE` where there is nothing.

        A link that leads nowhere has a signature, its own: what it leads to may appear without any change
        in the folder of the link.
        """
        place = f"{self.directory}/{path}"
        try:
            facts = os.lstat(place)
        except (OSError, ValueError):
            return NO_FILE
        if stat.S_ISLNK(facts.st_mode):
            with suppress(OSError):
                facts = os.stat(place)
        return signature_of(facts)

    def signature_hash(self, path: str) -> int:
        """The hash of what :meth:`signature` would say."""
        try:
            return hash(_facts_of(os.stat(f"{self.directory}/{path}")))
        except (OSError, ValueError):
            return hash(self.signature(path))

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

    def serves(self, real: str) -> bool:
        """Whether *real*, a path without links, may be read: any where links may leave the directory."""
        return self._follow_symlinks or self.holds(real)

    def holds(self, real: str) -> bool:
        """Whether *real*, a path without links, lies beneath the directory."""
        return real.startswith(self._prefix)

    def real_path(self, path: str, descriptor: int) -> str | None:
        """A path without links that leads to the file *path* which is open as *descriptor*; ``None`` if none does."""
        try:
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            real = os.path.realpath(os.path.join(self.directory, path))
        try:
            there, here = os.stat(real, follow_symlinks=False), os.fstat(descriptor)
        except (OSError, ValueError):
            return None
        return real if os.path.samestat(there, here) else None

    def _open_beneath(self, path: str, flags: int) -> int:
        """Open *path* with the kernel's help. The directory is opened anew each time: it may be a link that moves."""
        here = os.open(self.directory, _FOLDER)
        try:
            for _ in range(_TRIES):
                try:
                    return _openat2(here, path, flags)
                except OSError as error:
                    if error.errno == errno.EXDEV:  # it leads outside, or an absolute link is on its way
                        break
                    if error.errno != errno.EAGAIN:  # something was renamed while the kernel resolved ".."
                        raise
        finally:
            os.close(here)
        return self._open_by_components(path, flags)

    def _open_anywhere(self, path: str, flags: int) -> int:
        return os.open(f"{self.directory}/{path}", flags)

    def _open_by_components(self, path: str, flags: int) -> int:
        self._resolve()
        real = os.path.realpath(os.path.join(self._real, *path.split("/")), strict=True)
        if not self.holds(real):
            raise FileNotFoundError(errno.ENOENT, "outside the root", path)
        if os.open not in os.supports_dir_fd:  # Windows: links need a privilege there
            return os.open(real, flags)
        *folders, name = os.path.relpath(real, self._real).split(os.sep)
        here = os.open(self._real, _FOLDER)
        try:
            for folder in folders:
                deeper = os.open(folder, _FOLDER | _O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = deeper
            return os.open(name, flags | _O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)

    def _resolve(self) -> None:
        self._real = os.path.realpath(self.directory)
        self._prefix = self._real.rstrip(os.sep) + os.sep


def signature_of(facts: os.stat_result) -> FileSignature:
    """The signature of the file that *facts* are of."""
    return tuple.__new__(FileSignature, _facts_of(facts))  # half the time of calling the class


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
