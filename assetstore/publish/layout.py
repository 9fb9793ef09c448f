"""The target of each mount (or a dry run of it), the objects that an asset becomes there, and their headers.

An asset has a fingerprinted name, which never changes, and its plain name, which is revalidated.
Each may be stored in one chosen content coding, or have siblings (``app.css.br``) for a server
that picks one. A coding is used only for types that gain by it and only where it came out smaller.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from assetstore.assets import cache_policy as headers
from assetstore.assets import compression as compress
from assetstore.assets import paths
from assetstore.assets.cache_policy import ImmutableNames
from assetstore.assets.media_types import STANDARD, MediaTypes, coding_of
from assetstore.backends import Root, open_backend
from assetstore.backends.base import (
    WHOLE,
    Backend,
    BytesFile,
    FileStat,
    OpenFile,
    Span,
    WritableBackend,
    WriteOptions,
    read_bytes,
)
from assetstore.errors import AssetNotFound, SettingsError
from assetstore.mounts.mount import Mount, MountTable
from assetstore.names.manifest import Entry, StoredObject

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


#: Larger files are not encoded, so that memory stays bounded: encoding holds a file in memory.
LARGEST_ENCODED_BYTES = 16 * 1024 * 1024


class Stage(IntEnum):
    """In which order objects are written; no stage begins before the one above it is finished."""

    FINGERPRINTED = 1
    PLAIN = 2

    @property
    def label(self) -> str:
        """Its name in messages."""
        return "fingerprinted files" if self is Stage.FINGERPRINTED else "plain files"


@dataclass(frozen=True, slots=True)
class Rendition:
    """The bytes of an asset in one content coding: how many, and their SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What becomes of each asset of one mount."""

    public: bool = True
    #: Cache-Control directives for shared caches on plain files.
    shared: str = ""
    rules: headers.HeaderRules = field(default_factory=headers.HeaderRules)
    #: Content codings for which siblings are stored.
    siblings: tuple[str, ...] = ()
    #: The one content coding in which the objects themselves are stored.
    coding: str | None = None
    media_types: MediaTypes = STANDARD
    #: ``max-age`` in seconds of the plain name of a path.
    max_age: Callable[[str], int] = field(default=lambda path: 0, compare=False)
    #: Which plain names were made of the content, so that they never change.
    immutable: ImmutableNames = field(default_factory=ImmutableNames, compare=False)

    @classmethod
    def of(cls, mount: Mount, siblings: tuple[str, ...] = (), coding: str | None = None) -> Layout:
        """The layout of a mount.

        Raises:
            SettingsError: a coding that is not known, or both kinds at once.
        """
        for each in (*siblings, *filter(None, [coding])):
            if each not in compress.SUFFIXES:
                raise SettingsError(f"{each!r} is no content coding; those are {', '.join(compress.SUFFIXES)}")
            if each not in compress.CODINGS:
                raise SettingsError(f"{each!r} needs a library; pip install 'assetstore[compress]'")
        if siblings and coding:
            raise SettingsError("give either siblings or one encoding, not both: a sibling of encoded bytes has no use")
        return cls(
            mount.public,
            mount.shared_cache,
            mount.headers,
            siblings,
            coding,
            mount.media_types,
            mount.max_age_of,
            mount.immutable,
        )

    def codings_for(self, path: str, size: int) -> tuple[str, ...]:
        """The content codings worth trying for an asset."""
        if not compress.MIN_SIZE <= size <= LARGEST_ENCODED_BYTES or not self.media_types.compressible(path):
            return ()
        return (self.coding,) if self.coding else self.siblings

    @property
    def plain_cache_control(self) -> str:
        """Cache-Control of most objects under plain names; an entry records its own where it is another."""
        return headers.cache_control(immutable=False, public=self.public, shared=self.shared)

    def still_holds(self, known: Entry) -> bool:
        """Whether an entry of an earlier release has the very objects and headers that this layout gives it now.

        False also where that is not known without encoding the asset again.
        """
        codings = {each.coding for each in known.stored} - {None}
        if codings != set(self.codings_for(known.path, known.size)) or not self._is_type_of(known):
            return False
        wanted = self._headers(known)
        if known.headers != wanted.extra or known.plain_cache_control != self._own(wanted.plain):
            return False
        return all(
            each.headers == wanted.digest(immutable=known.immutable(each), coding=each.coding) for each in known.stored
        )

    def complete(self, entry: Entry, renditions: Mapping[str, Rendition]) -> Entry:
        """*entry* with every object that it needs in the target, and the headers that rules add to them.

        *renditions* holds the codings that came out smaller.
        """
        wanted = self._headers(entry)
        names = [(False, entry.path)]
        if entry.fingerprint is not None:
            names.insert(0, (True, entry.fingerprinted_path))
        sizes: dict[str | None, Rendition] = {None: Rendition(entry.size, entry.sha256)}
        if self.coding is not None and self.coding in renditions:  # the objects themselves are encoded
            sizes = {self.coding: renditions[self.coding]}
        else:
            sizes.update(renditions.items())
        stored = tuple(
            StoredObject(
                name if coding in {None, self.coding} else name + compress.SUFFIXES[coding],
                each.size,
                each.sha256,
                wanted.digest(immutable=immutable, coding=coding),
                coding,
            )
            for immutable, name in names
            for coding, each in sizes.items()
        )
        return replace(entry, headers=wanted.extra, plain_cache_control=self._own(wanted.plain), stored=stored)

    def write_options(self, entry: Entry, stored: StoredObject) -> WriteOptions:
        """How one object of *entry* is written: headers, metadata, checksum."""
        wanted = self._headers(entry)
        metadata = {"assetstore-sha256": stored.sha256}
        if entry.fingerprint is not None:
            metadata["assetstore-fingerprint"] = entry.fingerprint
        return WriteOptions(
            entry.content_type,
            wanted.immutable if entry.immutable(stored) else wanted.plain,
            stored.coding or wanted.coding,
            dict(wanted.extra),
            metadata,
            sha256=stored.sha256,
        )

    def _own(self, cache_control: str) -> str:
        return "" if cache_control == self.plain_cache_control else cache_control

    def _headers(self, entry: Entry) -> _Headers:
        extra = self.rules.of(entry.path)
        immutable = headers.cache_control(immutable=True, public=self.public)
        plain = immutable
        if entry.fingerprint is not None or not self.immutable.holds(entry.path):
            seconds = self.max_age(entry.path)
            plain = headers.cache_control(
                immutable=False, public=self.public, shared=self.shared, max_age_seconds=seconds
            )
        own_coding = coding_of(entry.path)
        return _Headers(entry.content_type, immutable, plain, own_coding, tuple(sorted(extra.items())))

    def _is_type_of(self, known: Entry) -> bool:
        """Whether a file of that name may have the media type of *known*; its charset follows from the bytes."""
        full = self.media_types.of(known.path)
        return known.content_type in {full, full.removesuffix("; charset=utf-8")}


class _Headers(NamedTuple):
    """The headers that the objects of one asset are stored with."""

    content_type: str
    #: Cache-Control under the fingerprinted name, and under the plain one.
    immutable: str
    plain: str
    #: The content coding that the format itself implies.
    coding: str | None
    extra: tuple[tuple[str, str], ...]

    def digest(self, *, immutable: bool, coding: str | None) -> str:
        """A short digest by which a later run sees that the intended headers are others now.

        User metadata is left out: it follows from the bytes.
        """
        cache_control = self.immutable if immutable else self.plain
        return _digest(self.content_type, cache_control, coding or self.coding, self.extra)


@lru_cache(maxsize=1000)
def _digest(*headers_: object) -> str:
    return hashlib.sha256(json.dumps(headers_).encode()).hexdigest()[:16]


def encoded_sizes(backend: Backend, entry: Entry, known: Entry | None, layout: Layout) -> Mapping[str, Rendition]:
    """The codings in which *entry* is smaller than its own bytes.

    What the live release's manifest knows of the same bytes is taken from there, so that an
    unchanged asset is never encoded again.
    """
    codings = layout.codings_for(entry.path, entry.size)
    found = _remembered(entry, known)
    if not all(coding in found for coding in codings):
        data = read_bytes(backend, entry.path)
        tried = {coding: compress.compress(data, coding, thorough=True) for coding in codings}
        found = {coding: _rendition(smaller) for coding, smaller in tried.items() if smaller is not None}
    return {coding: found[coding] for coding in codings if coding in found}


def open_stored(backend: Backend, entry: Entry, stored: StoredObject) -> OpenFile:
    """The bytes that are stored as *stored*, opened."""
    if stored.coding is None:
        return backend.open(entry.path)
    data = read_bytes(backend, entry.path)
    return BytesFile.of(stored.path, compress.compress(data, stored.coding, thorough=True) or data)


def _remembered(entry: Entry, known: Entry | None) -> dict[str, Rendition]:
    if known is None or known.sha256 != entry.sha256:
        return {}
    return {each.coding: Rendition(each.size, each.sha256) for each in known.stored if each.coding is not None}


def _rendition(data: bytes) -> Rendition:
    return Rendition(len(data), hashlib.sha256(data).hexdigest())
