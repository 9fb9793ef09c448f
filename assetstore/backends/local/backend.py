"""Files in a directory on this machine, or in several of which the first that has a file wins."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from assetstore.assets import paths
from assetstore.backends.base import (
    WHOLE,
    FileStat,
    OpenFile,
    Span,
    UnfinishedUpload,
    WriteOptions,
    copy_bytes,
    stat_siblings,
)
from assetstore.backends.local.reader import reader_for
from assetstore.backends.local.sandbox import HAS_DIR_FD, LocalRoot, require_directory, signature_of, translate
from assetstore.backends.reader import AsyncOpenFile, Reader, reader_of, siblings_by
from assetstore.errors import AssetNotFound, AssetStoreError, BodyTruncated, PublishConflict, VersionChanged

#: What :meth:`LocalBackend.write` calls a file before it is whole.
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part")

_log = logging.getLogger("assetstore")

#: How many names that a walk leaves out are logged.
LOGGED_NAMES = 20
_OUTSIDE = (
    "a link to outside of the root; copy what it names into the root (cp -RL, rsync -L), or give the folder that it "
    "leads to a mount of its own, or pass follow_symlinks=True"
)

#: Bytes read at a time.
CHUNK_BYTES = 256 * 1024


class LocalBackend:
    """A directory; writable, and nothing outside of it is reachable."""

    remote = False
    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: bool | frozenset[str] = paths.WELL_KNOWN

    def __init__(
        self, directory: str | os.PathLike[str], *, must_exist: bool = True, follow_symlinks: bool = False
    ) -> None:
        directory = os.path.expanduser(os.fspath(directory))
        require_directory(directory, must_exist=must_exist)
        self._root = LocalRoot(directory, follow_symlinks=follow_symlinks)
        self._left_out: set[str] = set()
        #: As :meth:`Signatures.signature` and :meth:`Signatures.signature_hash`, without a call on the way.
        self.signature, self.signature_hash = self._root.signature, self._root.signature_hash

    def __repr__(self) -> str:
        return f"LocalBackend({self.label!r})"

    @property
    def label(self) -> str:
        return self._root.directory

    def stat(self, path: str) -> FileStat:
        return _stat_of(path, self._root.stat(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> LocalFile:
        descriptor, facts = self._root.open(path)
        opened = LocalFile(_stat_of(path, facts), descriptor, self._root)
        if validator is not None:  # a directory has no validators, so this one is of another backend
            opened.close()
            raise VersionChanged(f"{path!r} in {self.label} is not version {validator!r}", path=path)
        return opened

    def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        """As :meth:`FindsSiblings.siblings`, all in one folder."""
        if not HAS_DIR_FD or stat.signature is None:
            return stat_siblings(self, stat, suffixes)
        found, complete = self._root.siblings(stat.path, stat.signature, suffixes)
        return {suffix: _stat_of(stat.path + suffix, facts) for suffix, facts in found.items()}, complete

    def reader(self) -> Reader:
        """How serving reads it: on the event loop while that cannot block."""
        return reader_for(self, self.label)

    def walk(self) -> Iterator[FileStat]:
        return self._walk("", (os.path.realpath(self.label),))

    def _walk(self, folder: str, above: tuple[str, ...]) -> Iterator[FileStat]:
        here = os.path.join(self.label, folder)
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except PermissionError as error:
            if not folder:
                raise translate(error, ".", self.label) from error
            self._warn_left_out(folder.rstrip("/"), "a folder that may not be read")
            return
        except OSError as error:
            raise translate(error, folder or ".", self.label) from error
        for entry in entries:
            path = folder + entry.name
            if not paths.is_clean(path, hidden=self.dot_names):
                continue
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                real = os.path.realpath(entry.path)
                if not self._root.serves(real):
                    self._warn_left_out(path, _OUTSIDE)
                elif real not in above:  # a link to a folder above would never end
                    yield from self._walk(path + "/", (*above, real))
                continue
            try:
                yield self.stat(path)
            except AssetStoreError:  # deleted since it was listed, a device, or a link to outside
                if entry.is_symlink() and not self._root.serves(os.path.realpath(entry.path)):
                    self._warn_left_out(path, _OUTSIDE)

    def _warn_left_out(self, path: str, why: str) -> None:
        """Log once for each of the first names that a walk leaves out, and once that there are more."""
        if path not in self._left_out and len(self._left_out) <= LOGGED_NAMES:
            self._left_out.add(path)
            more = " and others like it" if len(self._left_out) > LOGGED_NAMES else ""
            _log.warning("%s leaves out %r%s: %s", self.label, path, more, why)

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`; a directory keeps no headers with its files."""
        paths.clean(path, hidden=True)
        if options.if_validator is not None:
            wanted = options.if_validator
            raise PublishConflict(f"{path!r} in {self.label} is not version {wanted!r}: files have no validators")
        target = self._root.inside(path)
        temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.part")
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _copy(source, temporary, path, options.sha256)
            if options.create_only:
                os.link(temporary, target)  # unlike a rename, this fails when the name is taken
            else:
                os.replace(temporary, target)
        except FileExistsError:
            raise PublishConflict(f"{path!r} exists already in {self.label}") from None
        except OSError as error:
            raise translate(error, path, self.label, "write") from error
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(temporary)
        return self.stat(path)

    #: Bytes that one name may have on most file systems.
    max_segment_bytes = 255

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """The temporary files of :meth:`write`."""
        for folder, _, names in os.walk(self.label):
            for name in names:
                if _TEMPORARY.fullmatch(name):
                    with suppress(OSError):
                        facts = os.lstat(os.path.join(folder, name))
                        path = os.path.relpath(os.path.join(folder, name), self.label).replace(os.sep, "/")
                        yield UnfinishedUpload(path, facts.st_size, facts.st_mtime_ns)

    def remove_unfinished(self, upload: UnfinishedUpload) -> None:
        """As :meth:`KeepsUnfinished.remove_unfinished`."""
        self.delete(upload.path)

    def delete(self, path: str) -> None:
        try:
            paths.clean(path, hidden=True)
            os.unlink(self._root.inside(path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise translate(error, path, self.label, "delete") from error


class LocalFile:
    """One opened file; an :class:`OpenFile` that also knows its descriptor and its real path."""

    __slots__ = ("_descriptor", "_root", "stat")

    def __init__(self, stat: FileStat, descriptor: int, root: LocalRoot) -> None:
        self.stat = stat
        self._descriptor = descriptor
        self._root = root

    @property
    def real_path(self) -> str | None:
        """A path without links that leads to the very file that is open, for servers that send files by themselves."""
        return self._root.real_path(self.stat.path, self._descriptor)

    def check(self) -> None:
        """Raise :class:`VersionChanged` if the file was written to since it was opened."""
        facts = os.fstat(self._descriptor)
        if signature_of(facts) == self.stat.signature:
            return
        # A file that was replaced or deleted has another change time, and the bytes that it had.
        written = (facts.st_size, facts.st_mtime_ns) != (self.stat.size, self.stat.mtime_ns)
        if written or facts.st_nlink > 0:
            raise VersionChanged(f"{self.stat.path!r} was written to while it was read", path=self.stat.path)

    def chunks(self, start: int, stop: int, most: int = CHUNK_BYTES) -> Iterator[bytes]:
        """As :meth:`OpenFile.chunks`, each of at most *most* bytes."""
        while start < stop:
            try:
                chunk = _read_at(self._descriptor, min(most, stop - start), start)
            except OSError as error:
                raise BodyTruncated(f"cannot read on in {self.stat.path!r}: {error}", path=self.stat.path) from error
            if not chunk:
                raise BodyTruncated(
                    f"{self.stat.path!r} shrank to {start} bytes while it was read", path=self.stat.path
                )
            start += len(chunk)
            if start >= stop:  # what was read is of the version that was opened, or the last piece is not given
                self.check()
            yield chunk

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _read_at(descriptor: int, count: int, start: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, count, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # Windows; a descriptor has one reader
    return os.read(descriptor, count)


def _stat_of(path: str, facts: os.stat_result) -> FileStat:
    return FileStat(path, facts.st_size, facts.st_mtime_ns, signature=signature_of(facts))


def _copy(source: OpenFile, temporary: str, path: str, sha256: str | None) -> None:
    with open(temporary, "xb") as file:
        copy_bytes(source, file.write, path, sha256)
        os.chmod(temporary, 0o644)


T = TypeVar("T")


class Overlay:
    """*layers*, the first of which that has a file wins; read only."""

    remote = False

    def __init__(self, layers: Sequence[LocalBackend]) -> None:
        self._layers = tuple(layers)
        self.label = ", ".join(each.label for each in layers)

    def __repr__(self) -> str:
        return f"Overlay({list(self._layers)!r})"

    @property
    def layers(self) -> tuple[LocalBackend, ...]:
        """The directories, the first that has a file first."""
        return self._layers

    @property
    def dot_names(self) -> bool | frozenset[str]:
        """Names with a leading dot that are listed."""
        return self._layers[0].dot_names

    @dot_names.setter
    def dot_names(self, names: bool | frozenset[str]) -> None:
        for layer in self._layers:
            layer.dot_names = names

    def stat(self, path: str) -> FileStat:
        return self._first(path, lambda layer: layer.stat(path))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return self._first(path, lambda layer: layer.open(path, span, validator=validator))

    def walk(self) -> Iterator[FileStat]:
        seen: set[str] = set()
        for layer in self._layers:
            for stat in layer.walk():
                if stat.path not in seen:
                    seen.add(stat.path)
                    yield stat

    def reader(self) -> Reader:
        """How serving reads: each directory in its own way."""
        return _OverlayReader([reader_of(each) for each in self._layers], self.label)

    def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        """As :meth:`FindsSiblings.siblings`, of the directory that the file is in."""
        for layer in self._layers:
            with suppress(AssetNotFound, VersionChanged):
                return layer.siblings(stat, suffixes)
        raise VersionChanged(f"{stat.path!r} changed while it was looked up", path=stat.path)

    def _first(self, path: str, look: Callable[[LocalBackend], T]) -> T:
        for layer in self._layers:
            try:
                return look(layer)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self.label)


class _OverlayReader:
    def __init__(self, readers: Sequence[Reader], label: str) -> None:
        self._readers = tuple(readers)
        self._label = label

    async def stat(self, path: str) -> FileStat:
        for reader in self._readers:
            try:
                return await reader.stat(path)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self._label)

    async def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> AsyncOpenFile:
        for reader in self._readers:
            try:
                return await reader.open(path, span, validator=validator)
            except AssetNotFound:
                continue
        raise AssetNotFound(path, self._label)

    async def siblings(self, stat: FileStat, suffixes: Iterable[str]) -> tuple[dict[str, FileStat], bool]:
        for reader in self._readers:
            with suppress(AssetNotFound, VersionChanged):
                return await siblings_by(reader, stat, suffixes)
        raise VersionChanged(f"{stat.path!r} changed while it was looked up", path=stat.path)

    async def aclose(self) -> None:
        for reader in self._readers:
            await reader.aclose()
