"""Any fsspec filesystem as a backend; nothing of fsspec leaves it."""

from __future__ import annotations

import hashlib
import io
import logging
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from inspect import signature
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
    without_secrets,
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
#: Filesystems of files and folders that can be published to; each is tested against a server. Object stores are
#: not among them: fsspec has no common way to store Cache-Control with an object.
WRITABLE = frozenset({"sftp", "ssh", "webdav"})
#: Filesystems whose client may not be used by two threads at once: paramiko's and ftplib's.
_NOT_SHARED = frozenset({"sftp", "ssh", "ftp"})
#: Filesystems that connect while they are made, and how long that may take, by their own options.
_CONNECTING: Mapping[str, Mapping[str, Any]] = {
    "sftp": {"timeout": 5.0, "banner_timeout": 5.0, "auth_timeout": 5.0},
    "ssh": {"timeout": 5.0, "banner_timeout": 5.0, "auth_timeout": 5.0},
    # share_access: else each reader locks out all others.
    "smb": {"timeout": 5, "register_session_retries": 0, "share_access": "rwd"},
    "ftp": {"timeout": 5},
    "github": {},
    "hdfs": {},
    "arrow_hdfs": {},
}
#: Options of fsspec's SFTP beside those of paramiko's ``connect``.
_OF_SFTP = frozenset({"temppath", "host_key_policy", "skip_instance_cache", "use_listings_cache"})
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
        self._at = 0

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            with self._errors(self.stat.path):
                if start != self._at:  # a request of its own on some filesystems
                    self._file.seek(start)
                chunk = self._file.read(min(CHUNK_BYTES, stop - start))
                self._at = start + len(chunk)
            if not chunk:
                raise BodyTruncated(f"{self.stat.path!r} ended after {start} bytes", path=self.stat.path)
            yield bytes(chunk)
            start += len(chunk)

    def close(self) -> None:
        with suppress(AssetStoreError), self._errors(self.stat.path):  # a connection that is gone is closed
            self._file.close()


class Filesystem:
    """A filesystem of fsspec that is made when it is first used, since some connect to a server while they are made.

    Args:
        kind: its class.
        make: makes it; called again after :meth:`close`.
    """

    def __init__(self, kind: type[AbstractFileSystem], make: Callable[[], AbstractFileSystem]) -> None:
        self.kind = kind
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, filesystem: AbstractFileSystem, make: Callable[[], AbstractFileSystem]) -> Filesystem:
        """*filesystem*, and how to make it again."""
        known = [filesystem]
        made = cls(type(filesystem), lambda: known.pop() if known else make())
        made.get()
        return made

    def get(self) -> Any:
        """The filesystem; raises whatever its library does where it cannot be made."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    made = self._make()
                    with suppress(AttributeError):
                        # By default fsspec's listings never expire, and list files that are gone.
                        made.dircache.use_listings_cache = False
                    self._made = made
        return self._made

    def close(self) -> None:
        """Close its connections, as far as it has a way to; the next use makes it again."""
        with self._lock:
            made, self._made = self._made, None
        client = getattr(made, "client", None)  # of sftp and webdav
        for each in (getattr(client, "http", client), getattr(made, "ftp", None), made, getattr(made, "of", None)):
            if callable(close := getattr(each, "close", None)):
                with suppress(Exception):  # a connection that is gone is closed
                    close()


class _Given(Filesystem):
    """A filesystem that the application made; it closes it too."""

    def close(self) -> None:
        pass


class FilesystemBackend:
    """A folder of an fsspec filesystem; read-only.

    Args:
        filesystem: an ``AbstractFileSystem``, not asynchronous; or how one is made.
        root: the folder in it.
        label: for messages.
        must_exist: whether a listing fails where the folder is missing, instead of being empty.
        hidden: words that no message may contain.
        remote: whether a network is crossed; ``None``: what the class of the filesystem says.
    """

    #: Names with a leading dot that :meth:`walk` lists.
    dot_names: bool | frozenset[str] = paths.WELL_KNOWN
    #: Whether the filesystem is made anew after a fault.
    _renews = False

    def __init__(
        self,
        filesystem: Any,
        root: str = "",
        *,
        label: str = "",
        must_exist: bool = True,
        hidden: tuple[str, ...] = (),
        remote: bool | None = None,
    ) -> None:
        if getattr(filesystem, "asynchronous", False):
            raise SettingsError(
                "root is a filesystem made with asynchronous=True; leave that out, it is read in threads"
            )
        self._filesystem = (
            filesystem if isinstance(filesystem, Filesystem) else _Given.of(filesystem, lambda: filesystem)
        )
        self._root = self._filesystem.kind._strip_protocol(root).rstrip("/")
        self._protocol = _protocol(self._filesystem.kind)
        self._must_exist = must_exist
        self._hidden = hidden
        self.folder_seconds = FOLDER_SECONDS
        self._hung: threading.Thread | None = None
        #: One call at a time, where the client drops the answers of other threads' requests.
        self._lock: AbstractContextManager[Any] = threading.RLock() if self._protocol in _NOT_SHARED else nullcontext()
        self.label = label or f"{self._protocol}://{self._root.lstrip('/')}"
        self.remote = _is_remote(filesystem) if remote is None else remote

    @property
    def _fs(self) -> Any:
        try:
            return self._filesystem.get()
        except FileNotFoundError as error:  # the archive that holds the files, and not one of them
            raise BackendUnavailable(f"{self.label} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the connections of a filesystem that was made from a URL; a later use opens new ones."""
        self._filesystem.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    def stat(self, path: str) -> FileStat:
        with self._errors(path):
            return self._stat_of(path, self._fs.info(self._key(path)))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        with self._errors(path):
            # Without a cache of its own each read is exactly one ranged request.
            cache = {} if self._protocol == "smb" else {"cache_type": "none"}  # SMB's takes it for an option of its own
            try:
                file = self._fs.open(self._key(path), "rb", block_size=CHUNK_BYTES, **cache)
            except FileNotFoundError:
                raise
            except OSError:
                self._stat_of(path, self._fs.info(self._key(path)))  # SFTP has no error of its own for a folder
                raise
            try:
                facts = self._stat_of(path, _details(file) or self._fs.info(self._key(path)))
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
        kind = self._filesystem.kind
        by_folder = self.remote and not hasattr(kind, "_find") and kind.find is AbstractFileSystem.find
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
        if not self._must_exist or not root or self._filesystem.kind is MemoryFileSystem:
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

        thread = threading.Thread(target=run, name="assetstore-listing", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            self._hung = thread
            raise BackendTimeout(f"{self.label} did not answer a listing within {seconds:g} s")
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
            if self._renews and type(ours) in {BackendUnavailable, VersionChanged}:
                self._filesystem.close()  # its connection may be lost, or its archive replaced
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
    return _backend(filesystem, path, label=label, must_exist=must_exist, hidden=hidden)


def _backend(filesystem: AbstractFileSystem | Filesystem, path: str, **how: Any) -> FilesystemBackend:
    kind = filesystem.kind if isinstance(filesystem, Filesystem) else type(filesystem)
    if kind is MemoryFileSystem:
        return MemoryBackend(filesystem, path, **how)
    return (TreeBackend if _protocol(kind) in WRITABLE else FilesystemBackend)(filesystem, path, **how)


def open_url(url: str, storage_options: Mapping[str, Any], *, must_exist: bool = True) -> Backend:
    """The backend over the filesystem that an fsspec *url* names; *storage_options* go to it as they are.

    Raises:
        SettingsError: no filesystem has that scheme, its library is missing, or it refuses the options.
    """
    scheme = url.partition("://")[0]
    shown = without_secrets(url)
    hidden = _secret_words(url, storage_options)
    chain = url.split("::")
    first = chain[0] if "://" in chain[0] else f"{chain[0]}://"
    remote = any(part.partition("://")[0] not in _HERE for part in (first, *chain[1:]) if "://" in part)
    options: dict[str, Any] = {"skip_instance_cache": True, **_CONNECTING.get(scheme, {}), **storage_options}
    how: dict[str, Any] = {"label": shown, "must_exist": must_exist, "hidden": hidden}
    try:
        kind = fsspec.get_filesystem_class(first.partition("://")[0])
        if scheme in {"sftp", "ssh"}:  # which gives them to paramiko when it connects
            taken = signature(sys.modules[kind.__module__].paramiko.SSHClient.connect).parameters
            for name in storage_options:
                if name not in taken and name not in _OF_SFTP:
                    raise TypeError(f"{name!r} is none of {', '.join(sorted({*taken, *_OF_SFTP} - {'self'}))}")
        wraps = issubclass(kind, CachingFileSystem | DirFileSystem)
        if scheme in _CONNECTING or (remote and len(chain) > 1 and not wraps):
            # What connects, or reads the directory of an archive, is made when it is used: a server that is down
            # must not end the application at its start.
            backend = _backend(Filesystem(kind, lambda: url_to_fs(url, **options)[0]), first, remote=remote, **how)
            backend._renews = True
            return backend
        filesystem, root = url_to_fs(url, **options)
        if not wraps and kind is not LocalFileSystem:
            made = Filesystem.of(filesystem, lambda: url_to_fs(url, **options)[0])
            return _backend(made, root, remote=remote, **how)
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
    return backend_of(filesystem, root, **how)


def _secret_words(url: str, storage_options: Mapping[str, Any]) -> tuple[str, ...]:
    """What is secret in a URL and its options, so that no message repeats what a filesystem said of it."""
    words = [part.rpartition("@")[0].partition(":")[2] for part in url.replace("://", "/").split("/") if "@" in part]
    for name, value in storage_options.items():
        if isinstance(value, str) and any(word in name.lower() for word in ("pass", "secret", "token", "key", "sas")):
            words.append(value)
    return tuple(word for word in words if len(word) >= 3)


def _details(file: Any) -> Mapping[str, Any] | None:
    """The info of the very version that is open; ``None`` where the filesystem keeps no more than a size."""
    details: Mapping[str, Any] = getattr(file, "details", None) or {}
    return details if details.keys() - {"name", "size", "type"} else None


def _is_remote(filesystem: Any) -> bool:
    """Whether reading crosses a network: also where an archive lies on another machine."""
    inner = getattr(getattr(filesystem, "of", None), "fs", None)
    return _protocol(type(filesystem)) not in _HERE or (inner is not None and _is_remote(inner))


def _protocol(kind: type[AbstractFileSystem]) -> str:
    protocol = kind.protocol
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

    Files are written under a temporary name and renamed, so that no reader sees half a file. Over SFTP the rename
    replaces in one step; a WebDAV server deletes what is replaced first (RFC 4918 section 9.9.3), so that a file is
    missing for a moment. Two writers that create one name at the same time are not kept apart over SFTP. Headers are
    not stored: what serves the files has to send them.
    """

    conditional_creates = conditional_replaces = False
    _said = False

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        """As :meth:`WritableBackend.write`, without headers."""
        key = self._key(path)
        if options.if_validator is not None and self.stat(path).validator != options.if_validator:
            raise PublishConflict(f"{path!r} in {self.label} is no longer the version {options.if_validator!r}")
        if not self._said:
            self._said = True
            _log.warning("%s stores no headers; what serves its files has to send Cache-Control", self.label)
        folder, _, name = key.rpartition("/")
        temporary = f"{folder}/.{name[:100]}.{secrets.token_hex(8)}.part"
        try:
            with self._errors(path):
                if options.create_only and self._fs.exists(key):
                    raise PublishConflict(f"{path!r} exists already in {self.label}")
                self._make_folder(folder)
                with self._fs.open(temporary, "wb") as file:
                    copy_bytes(source, file.write, path, options.sha256)
                self._move(temporary, key, overwrite=not options.create_only)
        except BaseException:
            with suppress(AssetStoreError), self._errors(path):  # the first error is the one to raise
                self._fs.rm_file(temporary)
            raise
        with suppress(AssetNotFound):  # somebody else deleted it at once
            return self.stat(path)
        return FileStat(path, source.stat.size)

    def _make_folder(self, folder: str) -> None:
        try:
            self._fs.makedirs(folder, exist_ok=True)
        except Exception:  # most look first, so that another writer may make it meanwhile
            if not self._fs.isdir(folder):
                raise

    def _move(self, temporary: str, key: str, *, overwrite: bool) -> None:
        if self._protocol in {"webdav", "dav"}:  # fsspec's mv copies and deletes there, and replaces nothing
            try:
                self._fs.client.move(temporary, key, overwrite=overwrite)
            except Exception as error:
                if type(error).__name__ == "ResourceAlreadyExists":
                    raise PublishConflict(f"{key!r} exists already in {self.label}") from error
                raise
        else:
            self._fs.mv(temporary, key)

    def delete(self, path: str) -> None:
        with suppress(AssetNotFound), self._errors(path):
            self._fs.rm_file(self._key(path))
