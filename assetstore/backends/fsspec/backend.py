"""This module owns any fsspec filesystem as a backend; nothing of fsspec leaves it."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WriteOptions, copy_bytes
from assetstore.backends.fsspec.errors import translate
from assetstore.backends.fsspec.info import mtime_ns, spelled, validator_in
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    UnsafePath,
    VersionChanged,
)

#: Bytes read at a time. Large, because on most filesystems each read is a request.
CHUNK_BYTES = 1024 * 1024


class FilesystemFile:
    """An fsspec file as an :class:`OpenFile`; *errors* translates what the filesystem raises."""

    def __init__(self, errors: Callable[[str], AbstractContextManager[None]], stat: FileStat, file: Any) -> None:
        self.stat = stat
        self._errors = errors
        # A memory file is shared by all who open it, position included: read a snapshot instead.
        self._file = io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            with self._errors(self.stat.path):
                self._file.seek(start)
                chunk = self._file.read(min(CHUNK_BYTES, stop - start))
            if not chunk:
                raise BodyTruncated(f"{self.stat.path!r} ended after {start} bytes", path=self.stat.path)
            yield bytes(chunk)
            start += len(chunk)

    def close(self) -> None:
        self._file.close()


#: What to install for a scheme of fsspec's whose library is missing.
_EXTRAS = {"s3": "assetstore[s3fs]", "s3a": "assetstore[s3fs]"}


#: Filesystems of files and folders that can be written to. Object stores are not among them: a
#: filesystem has no way to store Cache-Control that all of them understand.
_TREES = frozenset({"file", "local", "sftp", "ssh", "dir", "hdfs"})


class FilesystemBackend:
    """A folder of an fsspec filesystem; read-only."""

    def __init__(self, filesystem: Any, root: str = "", *, label: str = "") -> None:
        """Serve what stands beneath *root* of *filesystem*, an ``AbstractFileSystem``.

        Raises:
            SettingsError: it is a caching wrapper (they pair new times with old bytes) or asynchronous.
        """
        _refuse_wrappers(filesystem)
        self._fs = filesystem
        self._root = filesystem._strip_protocol(root).rstrip("/")
        self._label = label or f"{_protocol(filesystem)}://{self._root.lstrip('/')}"
        with suppress(AttributeError):
            # fsspec's listings never expire unless told to, and then answer for files long gone.
            filesystem.dircache.use_listings_cache = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    @property
    def label(self) -> str:
        return self._label

    @property
    def remote(self) -> bool:
        return _protocol(self._fs) not in {"memory", "zip", "tar", "libarchive", "file", "local", "data"}

    def stat(self, path: str) -> FileStat:
        with self._errors(path):
            return self._stat_of(path, self._fs.info(self._key(path)))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        with self._errors(path):
            # Without a cache of its own each read is exactly one ranged request.
            file = self._fs.open(self._key(path), "rb", cache_type="none", block_size=CHUNK_BYTES)
            try:
                facts = self._stat_of(path, getattr(file, "details", None) or self._fs.info(self._key(path)))
            except BaseException:
                file.close()
                raise
        opened = FilesystemFile(self._errors, facts, file)
        if validator is not None and validator != facts.validator:
            opened.close()
            raise VersionChanged(f"{path!r} in {self.label} is not version {validator!r}", path=path)
        return opened

    def walk(self) -> Iterator[FileStat]:
        with self._errors(""):
            found: Mapping[str, Any] = self._fs.find(self._root, detail=True)
        prefix = f"{self._root}/" if self._root else ""
        for key, info in found.items():
            path = key.removeprefix(prefix) if prefix else key.lstrip("/")
            if key.startswith(prefix) and paths.is_clean(path) and info.get("type") == "file":
                try:
                    with self._errors(path):
                        stat = self._stat_of(path, info)
                except AssetNotFound:  # gone since the listing
                    continue
                yield stat

    def _stat_of(self, path: str, info: Mapping[str, Any]) -> FileStat:
        if info.get("type") not in {"file", None} or info.get("size") is None:
            raise AssetNotFound(path, self.label)
        moment = mtime_ns(info)
        if moment is None:
            with suppress(NotImplementedError):
                moment = spelled(self._fs.modified(self._key(path)))
        return FileStat(path, int(info["size"]), moment, validator_in(info))

    def _key(self, path: str) -> str:
        try:
            paths.clean(path, hidden=True)
        except UnsafePath:
            raise AssetNotFound(path, self.label) from None
        return f"{self._root}/{path}" if self._root else path

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except AssetStoreError:
            raise
        except Exception as error:  # a filesystem may raise anything at all
            raise translate(error, path, self.label) from error


def open_url(url: str, storage_options: Mapping[str, Any]) -> FilesystemBackend:
    """The backend over the filesystem that an fsspec *url* names; *storage_options* go to it as they are.

    Raises:
        SettingsError: no filesystem has that scheme, its library is missing, or it refuses the options.
    """
    scheme = url.partition("://")[0]
    try:
        filesystem, root = url_to_fs(url, **{"skip_instance_cache": True, **storage_options})
    except ImportError as error:
        wanted = _EXTRAS.get(scheme.rpartition("::")[2])
        advice = f"run: pip install {wanted!r}" if wanted else str(error)
        raise SettingsError(f"root {url!r} needs a library that is not installed; {advice}") from error
    except ValueError as error:
        if scheme.partition("::")[0] not in fsspec.available_protocols():
            raise SettingsError(
                f"root {url!r} has the unknown scheme {scheme!r}; give a directory, s3://bucket/prefix, "
                f"https://host/path, or another scheme of fsspec, such as memory:// or gs://"
            ) from error
        raise SettingsError(f"root {url!r} cannot be opened: {error}") from error
    except TypeError as error:
        raise SettingsError(f"root {url!r} refuses its storage_options: {error}") from error
    except Exception as error:  # a filesystem may raise anything at all
        raise SettingsError(f"root {url!r} cannot be opened: {error}") from error
    if isinstance(filesystem, MemoryFileSystem):
        return MemoryBackend(filesystem, root, label=url)
    kind = TreeBackend if _protocol(filesystem) in _TREES else FilesystemBackend
    return kind(filesystem, root, label=url)


def _protocol(filesystem: Any) -> str:
    protocol = filesystem.protocol
    return str(protocol if isinstance(protocol, str) else protocol[0])


def _refuse_wrappers(filesystem: Any) -> None:
    inner = filesystem
    while inner is not None:
        if isinstance(inner, CachingFileSystem):
            raise SettingsError(
                f"root uses fsspec's {_protocol(inner)!r}, which pairs new times with old bytes; name the filesystem "
                "beneath it and let the mount's own cache do the rest"
            )
        inner = getattr(inner, "fs", None)
    if getattr(filesystem, "asynchronous", False):
        raise SettingsError("root is a filesystem made with asynchronous=True; leave that out, it is read in threads")


class MemoryBackend(FilesystemBackend):
    """fsspec's ``memory://``: a dictionary of this process; writable, for tests and demonstrations."""

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`; memory keeps no headers with its files."""
        data = b"".join(source.chunks(0, source.stat.size))
        if options.sha256 is not None and hashlib.sha256(data).hexdigest() != options.sha256:
            raise BodyTruncated(f"the bytes of {path!r} are not those of SHA-256 {options.sha256}", path=path)
        if options.if_validator is not None:
            wanted = options.if_validator
            raise PublishConflict(f"{path!r} in {self.label} is not version {wanted!r}: memory has no validators")
        with self._errors(path):
            try:
                self._fs.pipe_file(self._key(path), data, mode="create" if options.create_only else "overwrite")
            except FileExistsError:
                raise PublishConflict(f"{path!r} exists already in {self.label}") from None
        return self.stat(path)

    def delete(self, path: str) -> None:
        with suppress(AssetNotFound), self._errors(path):
            self._fs.rm_file(self._key(path))


class TreeBackend(FilesystemBackend):
    """Files and folders elsewhere, such as over SFTP; writable. They keep no headers.

    Files arrive under a temporary name and are renamed, so nobody reads half a file. Two writers
    that create one name at once are not kept apart, as few of these filesystems could.
    """

    conditional_creates = conditional_replaces = False

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`, without headers."""
        key = self._key(path)
        if options.if_validator is not None:
            wanted = options.if_validator
            raise PublishConflict(f"{path!r} in {self.label} is not version {wanted!r}: files have no validators")
        folder, _, name = key.rpartition("/")
        temporary = f"{folder}/.{name[:100]}.{secrets.token_hex(8)}.part"
        try:
            with self._errors(path):
                if options.create_only and self._fs.exists(key):
                    raise PublishConflict(f"{path!r} exists already in {self.label}")
                self._fs.makedirs(folder, exist_ok=True)
                with self._fs.open(temporary, "wb") as file:
                    copy_bytes(source, file.write, path, options.sha256)
                self._fs.mv(temporary, key)
        except BaseException:
            with suppress(Exception):  # what went wrong first is what must be told
                self._fs.rm_file(temporary)
            raise
        return self.stat(path)

    def delete(self, path: str) -> None:
        with suppress(AssetNotFound), self._errors(path):
            self._fs.rm_file(self._key(path))
