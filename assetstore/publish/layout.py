"""The objects that an asset becomes in a target, and the headers that each is stored with.

An asset has a fingerprinted name, which never changes, and its plain name, which is revalidated.
Each may be stored in one chosen content coding, or have siblings (``app.css.br``) for a server
that picks one. A coding is used only for types that gain by it and only where it came out smaller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache

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

    def objects(self, entry: Entry, renditions: Mapping[str, Rendition]) -> Iterator[tuple[Stage, StoredObject]]:
        """Every object that *entry* needs; *renditions* holds the codings that came out smaller."""
        identity = Rendition(entry.size, entry.sha256)
        names = [(Stage.PLAIN, entry.path)]
        if entry.fingerprint is not None:
            names.insert(0, (Stage.FINGERPRINTED, entry.fingerprinted_path))
        for stage, name in names:
            if self.coding is not None and self.coding in renditions:
                yield stage, self._object(entry, stage, name, renditions[self.coding], self.coding)
                continue
            yield stage, self._object(entry, stage, name, identity, None)
            for coding, rendition in renditions.items():
                yield stage, self._object(entry, stage, name + compress.SUFFIXES[coding], rendition, coding)

    @property
    def plain_cache_control(self) -> str:
        """Cache-Control of most objects under plain names; an entry records its own where it is another."""
        return headers.cache_control(immutable=False, public=self.public, shared=self.shared)

    def still_holds(self, known: Entry) -> bool:
        """Whether an entry of an earlier release has the very objects and headers that this layout gives it now.

        False also where that cannot be told without encoding the asset again.
        """
        codings = {each.coding for each in known.stored} - {None}
        if codings != set(self.codings_for(known.path, known.size)) or not self._is_type_of(known):
            return False
        extra = self.rules.of(known.path)
        if known.headers != tuple(sorted(extra.items())):
            return False
        plain = self._headers(known, Stage.PLAIN, None).cache_control
        if known.plain_cache_control != ("" if plain == self.plain_cache_control else plain):
            return False
        return all(
            each.headers == digest_of(self._headers(known, _stage_of(known, each), each.coding))
            for each in known.stored
        )

    def complete(self, entry: Entry, renditions: Mapping[str, Rendition]) -> Entry:
        """*entry* with every object that it needs in the target, and the headers that rules add to them."""
        extra = tuple(sorted(self.rules.of(entry.path).items()))
        plain = self._headers(entry, Stage.PLAIN, None).cache_control
        own = "" if plain == self.plain_cache_control else plain
        return replace(
            entry,
            headers=extra,
            plain_cache_control=own,
            stored=tuple(stored for _, stored in self.objects(entry, renditions)),
        )

    def write_options(self, entry: Entry, stage: Stage, stored: StoredObject) -> WriteOptions:
        """How one object of *entry* is written: headers, metadata, checksum."""
        metadata = {"assetstore-sha256": stored.sha256}
        if entry.fingerprint is not None:
            metadata["assetstore-fingerprint"] = entry.fingerprint
        return replace(self._headers(entry, stage, stored.coding), metadata=metadata, sha256=stored.sha256)

    def _object(self, entry: Entry, stage: Stage, name: str, rendition: Rendition, coding: str | None) -> StoredObject:
        digest = digest_of(self._headers(entry, stage, coding))
        return StoredObject(name, rendition.size, rendition.sha256, digest, coding)

    def _headers(self, entry: Entry, stage: Stage, coding: str | None) -> WriteOptions:
        immutable = stage is Stage.FINGERPRINTED or (entry.fingerprint is None and self.immutable.holds(entry.path))
        cache_control = headers.cache_control(
            immutable=immutable,
            public=self.public,
            shared="" if immutable else self.shared,
            max_age_seconds=self.max_age(entry.path),
        )
        return WriteOptions(
            entry.content_type, cache_control, coding or coding_of(entry.path), self.rules.of(entry.path)
        )

    def _is_type_of(self, known: Entry) -> bool:
        """Whether a file of that name may have the media type of *known*; its charset follows from the bytes."""
        full = self.media_types.of(known.path)
        return known.content_type in {full, full.removesuffix("; charset=utf-8")}


def _stage_of(entry: Entry, stored: StoredObject) -> Stage:
    return Stage.FINGERPRINTED if entry.immutable(stored) else Stage.PLAIN


def digest_of(options: WriteOptions) -> str:
    """A short digest by which a later run sees that the intended headers are others now.

    User metadata is left out: it follows from the bytes.
    """
    return _digest(
        options.content_type, options.cache_control, options.content_encoding, tuple(sorted(options.extra.items()))
    )


@lru_cache(maxsize=1000)
def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


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
