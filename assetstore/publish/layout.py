"""The objects that an asset becomes in a target, and the headers that each is stored with.

An asset has a fingerprinted name, which never changes, and its plain name, which is revalidated.
Each may be stored in one chosen content coding, or have siblings (``app.css.br``) for a server
that picks one. A coding is used only for types that gain by it and only where it came out smaller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from assetstore.assets import cache_policy as headers
from assetstore.assets import compression as compress
from assetstore.assets.cache_policy import ImmutableNames
from assetstore.assets.media_types import STANDARD, MediaTypes, coding_of
from assetstore.backends.base import Backend, BytesFile, OpenFile, WriteOptions, read_bytes
from assetstore.errors import SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Entry, StoredObject

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
