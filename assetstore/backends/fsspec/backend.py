"""Any fsspec filesystem as a backend; nothing of fsspec leaves it."""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

import fsspec
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from assetstore.assets import paths
from assetstore.backends.base import WHOLE, Backend, FileStat, OpenFile, Span, WriteOptions, copy_bytes
from assetstore.backends.fsspec.info import mtime_ns, spelled, translate, validator_in
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.options import without_secrets
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    PublishConflict,
    SettingsError,
    UnsafePath,
    VersionChanged,
)

T = TypeVar("T")

_log = logging.getLogger("assetstore")

#: Bytes read at a time. Large, because on most filesystems each read is a request.
CHUNK_BYTES = 1024 * 1024
#: Seconds for listing one folder, unless the mount has limits; a listing that the filesystem makes in
#: one call may take as long as this many folders.
FOLDER_SECONDS, LISTING_FOLDERS = 30.0, 10

#: What to install for a scheme of fsspec's whose library is missing.
_EXTRAS = {"s3": "assetstore[s3fs]", "s3a": "assetstore[s3fs]"}
#: Filesystems of files and folders that can be written to. Object stores are not among them: fsspec
#: has no common way to store Cache-Control with an object.
_TREES = frozenset({"sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs", "webdav", "dav", "ftp", "dir"})
#: Filesystems whose client may not be used by two threads at once: paramiko's and ftplib's.
_NOT_SHARED = frozenset({"sftp", "ssh", "ftp"})
#: Filesystems of this process or machine.
_HERE = frozenset({"memory", "zip", "tar", "libarchive", "file", "local", "data"})
#: Filesystems whose first folder is a bucket, and whose other folders are only parts of names.
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "obs", "tos", "hf"})


class FilesystemFile:
    """An fsspec file as an :class:`OpenFile`; *errors* translates what the filesystem raises."""

    def __init__(self, errors: Callable[[str], AbstractContextManager[None]], stat: FileStat, file: Any) -> None:
        self.stat = stat
        self._errors = errors
        # All who open a memory file share it and its position: read a snapshot.
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
        with suppress(AssetStoreError), self._errors(self.stat.path):  # a connection that is gone is closed
            self._file.close()


class FilesystemBackend:
    """A folder of an fsspec filesystem; read-only.

    Args:
        filesystem: an ``AbstractFileSystem``, not asynchronous.
        root: the folder in it.
        label: for messages.
        must_exist: whether a listing fails where the folder is missing, instead of being empty.
        hidden: words that no message may contain.
    """

    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: bool | frozenset[str] = paths.WELL_KNOWN

    def __init__(
        self,
        filesystem: Any,
        root: str = "",
        *,
        label: str = "",
        must_exist: bool = True,
        hidden: tuple[str, ...] = (),
    ) -> None:
        if getattr(filesystem, "asynchronous", False):
            raise SettingsError(
                "root is a filesystem made with asynchronous=True; leave that out, it is read in threads"
            )
        self._fs = filesystem
        self._root = filesystem._strip_protocol(root).rstrip("/")
        self._protocol = _protocol(filesystem)
        self._must_exist = must_exist
        self._hidden = hidden
        self.folder_seconds = FOLDER_SECONDS
        self._hung: threading.Thread | None = None
        #: One call at a time, where the client drops the answers of other threads' requests.
        self._lock: AbstractContextManager[Any] = threading.RLock() if self._protocol in _NOT_SHARED else nullcontext()
        self.label = label or f"{self._protocol}://{self._root.lstrip('/')}"
        self.remote = self._protocol not in _HERE
        with suppress(AttributeError):
            # By default fsspec's listings never expire, and list files that are gone.
            filesystem.dircache.use_listings_cache = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

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
                with suppress(Exception):
                    file.close()
                raise
        opened = FilesystemFile(self._errors, facts, file)
        if validator is not None and validator != facts.validator:
            opened.close()
            raise VersionChanged(f"{path!r} in {self.label} is not version {validator!r}", path=path)
        return opened

    def walk(self) -> Iterator[FileStat]:
        prefix = f"{self._root}/" if self._root else ""
        for key, info in self._listed():
            path = key.removeprefix(prefix) if prefix else key.lstrip("/")
            if key.startswith(prefix) and paths.is_clean(path, hidden=self.dot_names) and info.get("type") == "file":
                try:
                    with self._errors(path):
                        stat = self._stat_of(path, info)
                except AssetNotFound:  # gone since the listing
                    continue
                yield stat

    def _listed(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Key and info of everything beneath the root.

        Raises:
            BackendUnavailable: the root is missing and must exist.
            BackendTimeout: the filesystem did not answer.
        """
        by_folder = self.remote and not hasattr(self._fs, "_find") and type(self._fs).find is AbstractFileSystem.find
        if by_folder:
            yield from self._listed_by_folder()
            return
        found: Mapping[str, Any] = self._within(
            LISTING_FOLDERS * self.folder_seconds, lambda: self._fs.find(self._root, detail=True)
        )
        if not found:
            self._require_root()
        yield from found.items()

    def _listed_by_folder(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        waiting = [self._root]
        while waiting:
            folder = waiting.pop()
            try:
                rows = self._within(self.folder_seconds, lambda folder=folder: self._fs.ls(folder, detail=True))  # type: ignore[misc]
            except AssetNotFound:
                if folder == self._root:
                    self._require_root()
                continue  # gone since its parent was listed
            for info in rows:
                key = str(info["name"]).rstrip("/")
                if info.get("type") == "directory" and key != folder:
                    waiting.append(key)
                elif info.get("type") == "file":
                    yield key, info

    def _require_root(self) -> None:
        """Fail where nothing is listed because the folder, or the bucket, is missing."""
        root = self._root.partition("/")[0] if self._protocol in _BUCKETS else self._root
        if not self._must_exist or not root or isinstance(self._fs, MemoryFileSystem):
            return
        if not self._within(self.folder_seconds, lambda: self._fs.exists(root)):
            raise BackendUnavailable(f"{self.label} cannot be listed: there is no {root!r}")

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        """The result of *work*, in a thread that is left behind if it takes longer than *seconds*."""
        if not self.remote:
            with self._errors(""):
                return work()
        if self._hung is not None and self._hung.is_alive():
            raise BackendTimeout(f"{self.label} has not answered an earlier listing yet")
        results: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                with self._lock:
                    results.append(work())
            except Exception as error:
                errors.append(error)

        thread = self._hung = threading.Thread(target=run, name="assetstore-listing", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise BackendTimeout(f"{self.label} did not answer a listing within {seconds:g} s")
        self._hung = None
        with self._errors(""):
            if errors:
                raise errors[0]
        return results[0]

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
            with self._lock:
                yield
        except AssetStoreError:
            raise
        except Exception as error:  # a filesystem may raise anything at all
            ours = translate(error, path, self.label)
            said = str(ours)
            if not any(word in said for word in self._hidden):
                raise ours from error
            for word in self._hidden:
                said = said.replace(word, "***")
            raise type(ours)(path, self.label) if isinstance(ours, AssetNotFound) else type(ours)(said) from None


def backend_of(
    filesystem: Any, path: str, *, label: str = "", must_exist: bool = True, hidden: tuple[str, ...] = ()
) -> Backend:
    """The backend over *path* of *filesystem*.

    A ``DirFileSystem`` is its folder. A caching filesystem is what it caches: it pairs new times with
    old bytes, and the mount has a cache of its own.

    Raises:
        SettingsError: it is asynchronous, or the whole of this machine's disk.
    """
    while isinstance(filesystem, DirFileSystem | CachingFileSystem):
        if isinstance(filesystem, DirFileSystem):
            path = filesystem._join(path)
        filesystem = filesystem.fs
    if isinstance(filesystem, LocalFileSystem):
        if not path:
            raise SettingsError(
                "root is the filesystem of this machine; give a directory in it: (filesystem, '/srv/assets')"
            )
        return LocalBackend(filesystem._strip_protocol(path), must_exist=must_exist)
    if isinstance(filesystem, MemoryFileSystem):
        return MemoryBackend(filesystem, path, label=label)
    kind = TreeBackend if _protocol(filesystem) in _TREES else FilesystemBackend
    return kind(filesystem, path, label=label, must_exist=must_exist, hidden=hidden)


def open_url(url: str, storage_options: Mapping[str, Any], *, must_exist: bool = True) -> Backend:
    """The backend over the filesystem that an fsspec *url* names; *storage_options* go to it as they are.

    Raises:
        SettingsError: no filesystem has that scheme, its library is missing, or it refuses the options.
    """
    scheme = url.partition("://")[0]
    shown = without_secrets(url)
    hidden = _secret_words(url, storage_options)
    try:
        filesystem, root = url_to_fs(url, **{"skip_instance_cache": True, **storage_options})
    except ImportError as error:
        wanted = _EXTRAS.get(scheme.rpartition("::")[2])
        advice = f"run: pip install {wanted!r}" if wanted else str(error)
        raise SettingsError(f"root {shown!r} needs a library that is not installed; {advice}") from error
    except Exception as error:  # a filesystem may raise anything at all
        if isinstance(error, ValueError) and scheme.partition("::")[0] not in fsspec.available_protocols():
            raise SettingsError(
                f"root {shown!r} has the unknown scheme {scheme!r}; give a directory, s3://bucket/prefix, "
                f"https://host/path, or another scheme of fsspec, such as memory:// or sftp://"
            ) from None
        said, cause = str(error), error
        for word in hidden:
            if word in said:
                said, cause = said.replace(word, "***"), None  # type: ignore[assignment]
        what = "refuses its storage_options" if isinstance(error, TypeError) else "cannot be opened"
        raise SettingsError(f"root {shown!r} {what}: {said}") from cause
    return backend_of(filesystem, root, label=shown, must_exist=must_exist, hidden=hidden)


def _secret_words(url: str, storage_options: Mapping[str, Any]) -> tuple[str, ...]:
    """What is secret in a URL and its options, so that no message repeats what a filesystem said of it."""
    words = [part.rpartition("@")[0].partition(":")[2] for part in url.replace("://", "/").split("/") if "@" in part]
    for name, value in storage_options.items():
        if isinstance(value, str) and any(word in name.lower() for word in ("pass", "secret", "token", "key", "sas")):
            words.append(value)
    return tuple(word for word in words if len(word) >= 3)


def _protocol(filesystem: Any) -> str:
    protocol = filesystem.protocol
    return str(protocol if isinstance(protocol, str) else protocol[0])


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
    """Files and folders on another machine, such as over SFTP; writable.

    Files are written under a temporary name and renamed, so that no reader sees half a file. Two
    writers that create one name at the same time are not kept apart: few of these filesystems can.
    Headers are not stored: what serves the files has to send them.
    """

    conditional_creates = conditional_replaces = False
    _said = False

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`, without headers."""
        key = self._key(path)
        if options.if_validator is not None:
            wanted = options.if_validator
            raise PublishConflict(f"{path!r} in {self.label} is not version {wanted!r}: files have no validators")
        if not self._said:
            self._said = True
            _log.warning("%s stores no headers; what serves its files has to send Cache-Control", self.label)
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
            with suppress(Exception):  # the first error is the one to raise
                self._fs.rm_file(temporary)
            raise
        return self.stat(path)

    def delete(self, path: str) -> None:
        with suppress(AssetNotFound), self._errors(path):
            self._fs.rm_file(self._key(path))
