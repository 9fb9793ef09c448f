"""The manifest: the name, size and digests of every asset of one release, as a JSON file; and where it is read from.

A publish writes it once. :func:`dump` and :func:`load` are a pure pair; what a mount takes from a
loaded manifest stands in :mod:`assetstore.names.published`.
"""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from assetstore.assets import paths
from assetstore.backends import open_backend
from assetstore.backends.base import Backend, FileStat
from assetstore.errors import AssetNotFound, BackendError, BackendForbidden, ManifestError, UnexpectedResponse
from assetstore.names import fingerprint as fingerprints
from assetstore.references.reference import Reference
from assetstore.util.lru import LRU

#: What the file says of itself, and the newest format that this code reads.
KIND = "assetstore manifest"
FORMAT = 1

#: How many entries of a packed manifest are kept as objects.
MAX_PARSED = 2_000

_ENTRY_KEYS = frozenset("fingerprint fingerprinted_path size sha256 integrity content_type mtime_ns stored".split())


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object in the target: a name, and which bytes with which headers stand under it."""

    #: The object's name below the target.
    path: str
    #: Stored bytes, after any content coding, and their SHA-256.
    size: int
    sha256: str
    #: A digest of the headers that it was stored with.
    headers: str
    #: Content coding of the stored bytes.
    coding: str | None = None
    #: The validator that the target gave it, where it gives any.
    validator: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One asset of a release."""

    #: Logical path.
    path: str
    #: 64 hex digits, or the first of them; ``None`` on a mount without fingerprints.
    fingerprint: str | None
    #: Bytes of the asset itself (before any content coding), and their digests.
    size: int
    sha256: str
    integrity: str
    content_type: str
    #: The source's modified time in nanoseconds UTC. Information; never a change test.
    mtime_ns: int | None
    #: Every object that the release needs in the target for this asset.
    stored: tuple[StoredObject, ...] = ()
    #: What a module imports, so that a server without the file knows; ``None`` where it was not read.
    imports: tuple[Reference, ...] | None = None
    #: Digest of the version of the source file that was read, by which the next publish from the same
    #: machine need not read it; empty where it was too young to tell.
    source: str = ""
    #: Further response headers that its objects are stored with.
    headers: tuple[tuple[str, str], ...] = ()
    #: Cache-Control of its objects under plain names, where it is not that of the manifest.
    plain_cache_control: str = ""

    @property
    def fingerprinted_path(self) -> str:
        """The name under which the asset never changes; the logical path where there is none."""
        return self.path if self.fingerprint is None else fingerprints.add(self.path, self.fingerprint)

    def immutable(self, stored: StoredObject) -> bool:
        """Whether the name of *stored* has the fingerprint in it, so that its bytes never change."""
        if self.fingerprint is None or self.fingerprint not in stored.path:
            return False
        return stored.path.startswith(self.fingerprinted_path)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All assets of one release."""

    release: str
    published_at: datetime
    #: The mount that was published; ``None`` for one without a name.
    mount: str | None
    entries: Mapping[str, Entry]
    #: Fingerprinted paths of earlier releases that the target still has.
    retained: frozenset[str] = field(default=frozenset())
    #: Of those, the size and the SHA-256 of the stored bytes, where they are known.
    retained_digests: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    #: Cache-Control of the objects under plain names, with which a rollback writes them again.
    plain_cache_control: str = "max-age=0, public, must-revalidate"
    #: Digits of its fingerprints; ``None`` where no entry has one.
    fingerprint_length: int | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        lengths = (len(each.fingerprint) for each in self.entries.values() if each.fingerprint is not None)
        object.__setattr__(self, "fingerprint_length", next(lengths, None))

    def objects(self) -> Iterator[StoredObject]:
        """Everything that this release needs in the target."""
        for entry in self.entries.values():
            yield from entry.stored

    def fingerprinted(self) -> Iterator[str]:
        """The names in this release that never change: fingerprinted paths and their variants."""
        for entry in self.entries.values():
            yield from (each.path for each in entry.stored if entry.immutable(each))

    def digests_of(self, names: Iterable[str]) -> dict[str, tuple[int, str]]:
        """The size and SHA-256 of what is stored under each of *names*, in this release or of an earlier one."""
        stored = {each.path: (each.size, each.sha256) for each in self.objects()}
        known = ((name, stored.get(name) or self.retained_digests.get(name)) for name in names)
        return {name: digest for name, digest in known if digest is not None}


def dump(manifest: Manifest, more: Mapping[str, Any] | None = None) -> bytes:
    """The manifest as JSON, one asset a line, the same bytes for the same manifest.

    *more* are further top-level keys, which :func:`load` leaves alone.
    """
    return b"".join(lines(manifest, more))


def lines(manifest: Manifest, more: Mapping[str, Any] | None = None) -> Iterator[bytes]:
    """What :func:`dump` joins, so that a large manifest can be digested without being held."""
    facts = {
        "kind": KIND,
        "format": FORMAT,
        "release": manifest.release,
        "published_at": manifest.published_at.isoformat(),
        "mount": manifest.mount,
        "retained": sorted(manifest.retained),
        "retained_digests": {
            path: list(manifest.retained_digests[path])
            for path in sorted(manifest.retained)
            if path in manifest.retained_digests
        },
        "plain_cache_control": manifest.plain_cache_control,
        **(more or {}),
    }
    yield b"{" + ",\n".join(f"{_json(key)}:{_json(value)}" for key, value in facts.items()).encode()
    yield b',\n"entries":{'
    for number, path in enumerate(sorted(manifest.entries)):
        yield f"{',' if number else ''}\n{_json(path)}:{_json(_entry(manifest.entries[path]))}".encode()
    yield b"\n}}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _entry(entry: Entry) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if entry.imports is not None:
        more["imports"] = [[each.kind, each.url] for each in entry.imports]
    if entry.headers:
        more["headers"] = dict(entry.headers)
    if entry.plain_cache_control:
        more["plain_cache_control"] = entry.plain_cache_control
    if entry.source:
        more["source"] = entry.source
    return more | {
        "fingerprint": entry.fingerprint,
        "fingerprinted_path": entry.fingerprinted_path,
        "size": entry.size,
        "sha256": entry.sha256,
        "integrity": entry.integrity,
        "content_type": entry.content_type,
        "codings": sorted({each.coding for each in entry.stored if each.coding is not None}),
        "mtime_ns": entry.mtime_ns,
        "stored": [
            [each.path, each.size, each.sha256, each.headers, each.coding, each.validator] for each in entry.stored
        ],
    }


class PackedEntries(Mapping[str, Entry]):
    """Entries that are kept as their JSON, and parsed when they are used.

    As objects, 200,000 entries take 450 MiB, and 0.3 s of every full garbage collection, for which all
    threads of the interpreter wait.
    """

    def __init__(self, rows: dict[str, bytes]) -> None:
        self._rows = rows
        self._parsed: LRU[str, Entry] = LRU(MAX_PARSED)

    def __getitem__(self, path: str) -> Entry:
        entry = self._parsed.get(path)
        return self._parsed.put(path, self._parse(self._rows[path])) if entry is None else entry

    def __contains__(self, path: object) -> bool:
        return path in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def values(self) -> ValuesView[Entry]:
        """Every entry, parsed as it comes, and not kept."""
        return _PackedValues(self)

    def _parse(self, row: bytes) -> Entry:
        entry = json.loads(row, object_hook=_entry_or_object)
        assert isinstance(entry, Entry)  # it was checked when it was read
        return entry


class _PackedValues(ValuesView[Entry]):
    def __iter__(self) -> Iterator[Entry]:
        packed = cast(PackedEntries, self._mapping)  # type: ignore[attr-defined]
        return map(packed._parse, packed._rows.values())


def load(data: bytes | Iterable[bytes], where: str, *, packed: bool = False) -> Manifest:
    """Read a manifest from its bytes, or from chunks of them; *where* names it in messages.

    With *packed*, its entries are :class:`PackedEntries`: for a server, which keeps them and uses few.

    Raises:
        ManifestError: it is no manifest of ours, or of a newer format.
    """
    return from_document(document(data, where, packed=packed), where)


def document(data: bytes | Iterable[bytes], where: str, *, packed: bool = False) -> dict[str, Any]:
    """The JSON object of a manifest, its kind and format checked; raises as :func:`load`."""
    advice = "give the file that 'assetstore publish' wrote"
    try:
        # Entries become values while they are parsed: as dictionaries they would take four times the memory.
        found = _by_lines([data] if isinstance(data, bytes) else data, packed=packed)
    except RecursionError:
        raise ManifestError(f"{where} is nested without end, so no manifest; {advice}") from None
    except ValueError as error:
        raise ManifestError(f"{where} is no JSON, so no manifest ({error}); {advice}") from None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise ManifestError(f"{where} is JSON but no assetstore manifest; {advice}")
    version = found.get("format")
    if not isinstance(version, int) or version < 1:
        raise ManifestError(f"{where} names no format version; {advice}")
    if version > FORMAT:
        raise ManifestError(
            f"{where} has format {version}, this assetstore reads up to {FORMAT}; upgrade assetstore here, "
            "or publish with the version that runs here"
        )
    return found


def _by_lines(chunks: Iterable[bytes], *, packed: bool) -> Any:
    """The JSON value of a whole document, which is read line by line where it is written as :func:`lines` does.

    So the text of a large manifest is never held as a whole.
    """
    lines = split_lines(chunks)
    head: list[bytes] = []
    for line in lines:
        head.append(line)
        if line == b'"entries":{\n':
            break
    else:
        return json.loads(b"".join(head), object_hook=_entry_or_object)
    entries: dict[str, Any] = {}
    rows: dict[str, bytes] = {}
    decoder = json.JSONDecoder(object_hook=_entry_or_object)
    for line in lines:
        if line == b"}}\n":
            rest = b"".join(lines).strip()
            found = json.loads(b"".join(head) + b"}}", object_hook=_entry_or_object)
            if rest or not isinstance(found, dict):
                raise ValueError("there is more behind its end")
            return {**found, "entries": PackedEntries(rows) if packed else entries}
        text = line.decode().strip().removesuffix(",").removeprefix(",")
        path, end = decoder.raw_decode(text)
        if not isinstance(path, str) or text[end : end + 1] != ":":
            raise ValueError(f"{text[:80]!r} is no entry")
        entry, stop = decoder.raw_decode(text, end + 1)
        if text[stop:]:
            raise ValueError(f"{text[stop : stop + 80]!r} stands behind an entry")
        if packed:
            _check_entry(path, entry)
            rows[path] = text[end + 1 : stop].encode()
        else:
            entries[entry.path if isinstance(entry, Entry) and entry.path == path else path] = entry
    raise ValueError("its end is missing")


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of *chunks*, each with its end, so that a long text is never held as a whole."""
    rest = b""
    for chunk in chunks:
        first, *more = (rest + chunk).splitlines(keepends=True) if b"\n" in chunk else [rest + chunk]
        found = [first, *more]
        rest = b"" if found[-1].endswith(b"\n") else found.pop()
        yield from found
    if rest:
        yield rest


def from_document(found: Mapping[str, Any], where: str) -> Manifest:
    """The manifest in a checked JSON object; raises as :func:`load`."""
    try:
        return Manifest(
            release=_text(found["release"]),
            published_at=instant(found["published_at"]),
            mount=found["mount"],
            entries=_entries(found["entries"]),
            retained=frozenset(map(_text, _list(found["retained"]))),
            retained_digests={
                path: _read_digest(*_list(digest)) for path, digest in found.get("retained_digests", {}).items()
            },
            plain_cache_control=_text(found.get("plain_cache_control", "max-age=0, public, must-revalidate")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(
            f"{where} is a damaged manifest ({error!r}); publish again, or take an earlier release"
        ) from None


def instant(text: str) -> datetime:
    """A time of ours, aware and in UTC; raises ``ValueError`` for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _read_stored(
    plain: str,
    own_sha256: str,
    path: object,
    size: object,
    sha256: object,
    headers: object,
    coding: str | None,
    validator: str | None,
) -> StoredObject:
    """One object of the entry with the path *plain* and the digest *own_sha256*, whose strings it shares."""
    if not isinstance(size, int):
        raise ValueError(f"{size!r} is no size")
    name = plain if path == plain else _text(path)
    digest = own_sha256 if sha256 == own_sha256 else _text(sha256)
    return StoredObject(name, size, digest, sys.intern(_text(headers)), coding, validator)


def _read_digest(size: object, sha256: object) -> tuple[int, str]:
    if not isinstance(size, int):
        raise ValueError(f"{size!r} is no size")
    return size, _text(sha256)


def _read_import(kind: object, url: object) -> Reference:
    return Reference(_text(kind), _text(url))


def _entries(found: object) -> Mapping[str, Entry]:
    if isinstance(found, PackedEntries):
        return found
    if not isinstance(found, dict):
        raise ValueError(f"{found!r} is no table of entries")
    for path, entry in found.items():
        _check_entry(path, entry)
    return found


def _check_entry(path: str, entry: object) -> None:
    if not isinstance(entry, Entry) or entry.path != paths.clean(path, hidden=True):
        raise ValueError(f"{path!r} is no entry")


def _entry_or_object(facts: dict[str, Any]) -> object:
    """*facts* as the entry that they are; anything else as it is, for whoever looks at it to refuse."""
    if not facts.keys() >= _ENTRY_KEYS:
        return facts
    try:
        return _read_entry(facts)
    except (TypeError, ValueError, AttributeError):
        return facts


def _read_entry(facts: Mapping[str, Any]) -> Entry:
    path, fingerprint = _text(facts["fingerprinted_path"]), facts["fingerprint"]
    sha256 = _text(facts["sha256"])
    if fingerprint == sha256:
        fingerprint = sha256  # one string for both: of 50,000 entries there are many
    if fingerprint is not None:
        path, spelled = fingerprints.split(path, len(fingerprint))
        if spelled != fingerprint or len(fingerprint) < fingerprints.SHORTEST:
            raise ValueError(f"{path!r} has the fingerprint {fingerprint!r}")
    return Entry(
        path=path,
        fingerprint=fingerprint,
        size=int(facts["size"]),
        sha256=sha256,
        integrity=_text(facts["integrity"]),
        content_type=sys.intern(_text(facts["content_type"])),
        mtime_ns=facts["mtime_ns"],
        stored=tuple(_read_stored(path, sha256, *_list(each)) for each in _list(facts["stored"])),
        imports=None if "imports" not in facts else tuple(_read_import(*each) for each in _list(facts["imports"])),
        source=_text(facts.get("source", "")),
        plain_cache_control=_text(facts.get("plain_cache_control", "")),
        headers=tuple((_text(name), _text(value)) for name, value in sorted(facts.get("headers", {}).items())),
    )


#: Where a published root has the manifest of its live release.
LIVE_RELEASE = ".assetstore/current.json"


class ManifestFile:
    """A manifest at a path or an fsspec URL; *storage_options* go to what a URL names.

    Raises:
        SettingsError: the URL's scheme is unknown, or its library is not installed.
    """

    def __init__(self, where: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> None:
        self.where = os.fspath(where)
        split = posixpath.split if scheme(self.where) else os.path.split
        folder, self._name = split(self.where if scheme(self.where) else os.path.abspath(self.where))
        self._backend = open_backend(folder, storage_options, must_exist=False)

    @classmethod
    def of_release(cls, root: Backend) -> ManifestFile:
        """The manifest of the live release in *root*, where ``assetstore publish`` keeps it."""
        file = cls.__new__(cls)
        file._backend, file._name = root, LIVE_RELEASE
        file.where = f"{root.label}/{LIVE_RELEASE}"
        return file

    @property
    def exists(self) -> bool:
        """Whether there is one now; a request where the storage is remote.

        Raises:
            BackendError: storage failed.
        """
        try:
            self._backend.stat(self._name)
        except (AssetNotFound, BackendForbidden, UnexpectedResponse):
            return False
        return True

    @property
    def remote(self) -> bool:
        """Whether reading it crosses a network."""
        return self._backend.remote

    def read(self) -> tuple[Manifest, FileStat]:
        """The manifest, and the facts of the file that it was read from.

        Raises:
            ManifestError: it is missing, cannot be read, is not ours, or is of a newer format.
        """
        try:
            opened = self._backend.open(self._name)
            try:
                manifest = load(opened.chunks(0, opened.stat.size), self.where, packed=True)
            finally:
                opened.close()
        except AssetNotFound:
            raise self._missing() from None
        except BackendError as error:
            raise self._unreadable(error) from error
        return manifest, opened.stat

    def is_still(self, stat: FileStat) -> bool:
        """Whether the file is the one that *stat* describes, which one small request tells.

        Raises:
            ManifestError: it is missing, or the storage failed.
        """
        try:
            now = self._backend.stat(self._name)
        except AssetNotFound:
            raise self._missing() from None
        except BackendError as error:
            raise self._unreadable(error) from error
        return now.version == stat.version

    def _missing(self) -> ManifestError:
        advice = "write it with 'assetstore publish --manifest PATH', or correct manifest="
        return ManifestError(f"there is no manifest at {self.where}; {advice}")

    def _unreadable(self, error: BackendError) -> ManifestError:
        return ManifestError(f"the manifest at {self.where} cannot be read: {error}")


def scheme(where: str) -> str:
    """The scheme of a URL, lower case; ``""`` for a path."""
    return where.partition("://")[0].lower() if "://" in where else ""
