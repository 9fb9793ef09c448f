"""The target that each mount is published to, and one for dry runs that only records."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from assetstore.assets import paths
from assetstore.backends import Root, open_backend
from assetstore.backends.base import WHOLE, FileStat, OpenFile, Span, WritableBackend, WriteOptions
from assetstore.errors import AssetNotFound, SettingsError
from assetstore.mounts.mount import Mount, MountTable

#: Replaced by the mount's name in a target, so that several mounts have one each.
PLACEHOLDER = "{mount}"


#: How long publishing waits for a bucket, unless ``storage_options`` say otherwise: no visitor waits for it, and
#: completing a multipart upload may take S3 a minute.
PATIENCE: Mapping[str, Any] = {"connect_timeout_seconds": 10.0, "read_timeout_seconds": 90.0, "attempts": 5}


def open_target(to: Root, storage_options: Mapping[str, Any] | None = None) -> WritableBackend:
    """The target that *to* names; a directory need not exist yet.

    Raises:
        SettingsError: it is malformed, or can only be read.
    """
    options = storage_options
    native = (storage_options or {}).get("backend", "native") == "native"
    if isinstance(to, str) and to.partition("://")[0] in {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"} and native:
        options = {**PATIENCE, **(storage_options or {})}
    backend = open_backend(to, options, must_exist=False)
    if not isinstance(backend, WritableBackend):
        raise SettingsError(
            f"{backend.label} can only be read here; publish to a directory (a mounted share is one), "
            "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, sftp://host/folder or webdav://folder"
        )
    return backend


def destinations(
    mounts: MountTable,
    names: Iterable[str],
    to: Root,
    storage_options: Mapping[str, Any] | None = None,
) -> list[tuple[Mount, WritableBackend]]:
    """Each mount that is to be published, with its target; all mounts where no *names* are given.

    Raises:
        MountNotFound: a name is no mount's.
        SettingsError: several mounts would share one target, or it cannot be written to.
    """
    chosen = [mounts.named(name) for name in names] or list(mounts)
    if not chosen:
        raise SettingsError("there is no mount to publish; add one with assets.static(...)")
    spelled = os.fspath(to) if isinstance(to, str | os.PathLike) else to
    if isinstance(spelled, str) and PLACEHOLDER in spelled:
        return [(mount, open_target(_named(spelled, mount), storage_options)) for mount in chosen]
    if len(chosen) > 1:
        known = ", ".join(mount.label for mount in chosen)
        raise SettingsError(
            f"mounts {known} would share one target; choose one with --mount, or write {PLACEHOLDER} into the "
            "target, as s3://bucket/{mount}"
        )
    return [(chosen[0], open_target(spelled, storage_options))]


def _named(spelled: str, mount: Mount) -> str:
    if mount.name is None:
        raise SettingsError(f"mount {mount.label} has no name to stand for {PLACEHOLDER}; give it name=")
    return spelled.replace(PLACEHOLDER, mount.name)


class DryRunBackend:
    """In front of a writable backend: reads pass through, writes and deletes are only recorded."""

    def __init__(self, backend: WritableBackend) -> None:
        self._backend = backend
        #: No other publisher writes to a dry run, so its conditions hold.
        self.conditional_creates: bool | None = True
        self.conditional_replaces: bool | None = True
        #: The names that would have been written and deleted, in that order.
        self.written: list[str] = []
        self.deleted: list[str] = []
        self._files: dict[str, FileStat] = {}

    @property
    def label(self) -> str:
        return self._backend.label

    @property
    def remote(self) -> bool:
        return self._backend.remote

    @property
    def dot_names(self) -> bool | frozenset[str]:
        return getattr(self._backend, "dot_names", paths.WELL_KNOWN)

    @dot_names.setter
    def dot_names(self, names: bool | frozenset[str]) -> None:
        if hasattr(self._backend, "dot_names"):
            self._backend.dot_names = names

    @property
    def max_segment_bytes(self) -> int:
        return int(getattr(self._backend, "max_segment_bytes", 0))

    def stat(self, path: str) -> FileStat:
        if path in self._files:
            return self._files[path]
        if path in self.deleted:
            raise AssetNotFound(path, self.label)
        return self._backend.stat(path)

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return self._backend.open(path, span, validator=validator)

    def walk(self) -> Iterator[FileStat]:
        changed = {*self._files, *self.deleted}
        yield from (stat for stat in self._backend.walk() if stat.path not in changed)
        yield from (stat for stat in self._files.values() if paths.is_clean(stat.path, hidden=self.dot_names))

    def write(self, path: str, source: OpenFile, options: WriteOptions) -> FileStat:
        self.written.append(path)
        stat = replace(
            FileStat(path, source.stat.size, sha256=options.sha256), validator=f"dry-run-{len(self.written)}"
        )
        self._files[path] = stat
        return stat

    def delete(self, path: str) -> None:
        self.deleted.append(path)
        self._files.pop(path, None)
