"""Mounts: a URL prefix bound to a backend, and which of them a request is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from assetstore.assets import paths
from assetstore.assets.cache_policy import HeaderRules, ImmutableNames, MaxAge
from assetstore.assets.compression import BUDGET_BYTES
from assetstore.assets.media_types import STANDARD, MediaTypes
from assetstore.assets.paths import DEFAULT_FILTER, PathFilter
from assetstore.backends.base import Backend
from assetstore.backends.reader import Closing, Reader
from assetstore.errors import MountNotFound, SettingsError
from assetstore.mounts.urls import NO_HOST, Hosts, MountUrl
from assetstore.names import fingerprint as fingerprints
from assetstore.names.base import Resolver
from assetstore.names.fingerprint import Fingerprint

if TYPE_CHECKING:
    from assetstore.backends.remote.reader import Remote

#: Smaller files are sent by the application: a redirect would cost more than their bytes.
DELIVERY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """One mount, wired: nothing here is decided later."""

    #: The name for ``url_for``; ``None`` for a mount that is only served.
    name: str | None
    url: MountUrl
    backend: Backend
    #: How serving reads the backend.
    reader: Reader
    #: What names are made of; ``None`` where URLs carry no fingerprint.
    fingerprinter: Fingerprint | None
    resolver: Resolver
    #: Which host URLs name, beyond what :attr:`url` says.
    hosts: Hosts = NO_HOST
    #: What stands between serving and a storage behind a network; ``None`` for local files.
    remote: Remote | None = None
    #: Extensions that may be served, lower case with their dot, ``""`` for none; empty allows all.
    allowed_ext: frozenset[str] = frozenset()
    #: Whether shared caches may keep the answers, and other origins read them.
    public: bool = True
    #: What stands in for a missing part of the URL: ``{"file": "index.html"}`` answers the prefix.
    defaults: Mapping[str, str] = field(default_factory=dict)
    #: Further response headers by pattern.
    headers: HeaderRules = field(default_factory=HeaderRules)
    #: Cache-Control directives for shared caches on plain files, as ``s-maxage=60``.
    shared_cache: str = ""
    #: Bytes of memory for what is compressed while serving; 0 compresses nothing.
    compress_bytes: int = BUDGET_BYTES
    #: Which names are assets: not secrets, leftovers, or what ``exclude`` matches.
    selection: PathFilter = DEFAULT_FILTER
    media_types: MediaTypes = STANDARD
    #: ``max-age`` of plain files.
    max_age: MaxAge = field(default_factory=MaxAge)
    #: Plain names whose content never changes.
    immutable: ImmutableNames = field(default_factory=ImmutableNames)
    #: The origins that may read responses of a public mount; ``None`` for all.
    cors: frozenset[str] | None = None
    #: Names with a leading dot that are served.
    hidden: frozenset[str] = paths.WELL_KNOWN
    #: Whether the mount is a site of pages: ``index.html``, ``about`` for ``about.html``, ``404.html``.
    html: bool = False
    #: The page of a single-page application, for navigations to unknown paths.
    fallback: str | None = None
    #: Who sends the bytes of large files of a bucket: the application, the storage, or the proxy in front.
    delivery: Literal["stream", "redirect", "proxy"] = "stream"
    #: From how many bytes on, in a public mount.
    delivery_bytes: int = DELIVERY_BYTES

    @property
    def label(self) -> str:
        """How messages name the mount."""
        return repr(self.name) if self.name is not None else f"at {self.url.base}"

    @property
    def cross_origin(self) -> bool:
        """Whether URLs may name another origin than the pages': a CDN, or hosts of the mount's own."""
        return self.url.cross_origin or self.hosts is not NO_HOST

    def clean(self, path: str) -> str:
        """*path*, a logical path or one with a fingerprint, if it is legal in this mount.

        Raises:
            UnsafePath: it is not. The limit of length is that of the logical path.
        """
        paths.clean(self.split(path)[0], hidden=self.hidden)
        return path

    def split(self, path: str) -> tuple[str, str | None]:
        """The logical path and the fingerprint that *path* spells in this mount; ``(path, None)`` if it spells none."""
        return fingerprints.split(
            path, fingerprints.LENGTH if self.fingerprinter is None else self.fingerprinter.length
        )

    def parse(self, path: str) -> tuple[str, str | None]:
        """The logical path and the fingerprint of *path*, if it is legal in this mount.

        Raises:
            UnsafePath: it is not. The limit of length is that of the logical path.
        """
        logical, fingerprint = self.split(path)
        paths.clean(logical, hidden=self.hidden)
        return logical, fingerprint

    def max_age_of(self, path: str) -> int:
        """``max-age`` of the plain name *path* in seconds; pages of a site are always revalidated."""
        return 0 if self.is_page(path) else self.max_age.of(path)

    def is_page(self, path: str) -> bool:
        """Whether *path* is a page of a site, which is revalidated at each use and has no fingerprint."""
        return self.html and self.media_types.bare(path) == "text/html"

    def allows(self, path: str) -> bool:
        """Whether logical *path* may be served and published: by its extension, and by its name."""
        return (not self.allowed_ext or paths.extension(path) in self.allowed_ext) and self.selection.allows(path)

    def close(self) -> None:
        """End every thread and connection of this mount; the next use begins anew. Not for the event loop."""
        self.resolver.close()
        if self.remote is not None:
            self.remote.reader.forget()
        if self.fingerprinter is not None:
            self.fingerprinter.close()
        if isinstance(self.backend, Closing):
            self.backend.close()


def allowed_extensions(given: object) -> frozenset[str]:
    """Read ``allowed_ext``.

    Raises:
        SettingsError: it is no list of extensions, or one has no leading dot.
    """
    good = "give a list such as ['.css', '.js', '']"
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise SettingsError(f"allowed_ext={given!r} is no list; {good}")
    extensions = list(given)
    for ext in extensions:
        if not isinstance(ext, str) or (ext and not ext.startswith(".")):
            raise SettingsError(f"allowed_ext has {ext!r}, which does not begin with a dot; {good}")
        if ext.count(".") > 1:
            raise SettingsError(
                f"allowed_ext has {ext!r}; only the last extension counts, as {'.' + ext.split('.')[-1]!r}"
            )
    return frozenset(ext.lower() for ext in extensions)


class MountTable:
    """Every mount, by name and by the place where it answers."""

    def __init__(self) -> None:
        self._mounts: list[Mount] = []
        self._named: dict[str, Mount] = {}
        self._places: list[tuple[str | None, str, Mount]] = []

    def __iter__(self) -> Iterator[Mount]:
        return iter(self._mounts)

    def __len__(self) -> int:
        return len(self._mounts)

    @property
    def names(self) -> list[str]:
        """The names of all mounts, in the order in which they were added."""
        return list(self._named)

    def add(self, mount: Mount) -> None:
        """Add a mount.

        Raises:
            SettingsError: its name, or its prefix on its host, is taken; the message names both mounts.
        """
        if mount.name is not None and mount.name in self._named:
            other = self._named[mount.name]
            raise SettingsError(
                f"two mounts are named {mount.name!r}: {other.backend.label} at {other.url.base} and "
                f"{mount.backend.label} at {mount.url.base}; give one another name="
            )
        for prefix in mount.url.prefixes:
            self._refuse_taken(prefix, mount)
        self._mounts.append(mount)
        if mount.name is not None:
            self._named[mount.name] = mount
        self._places += [(mount.url.host, prefix, mount) for prefix in mount.url.prefixes]
        # A mount for one host wins over one for all; then the longest prefix does.
        self._places.sort(key=lambda place: (place[0] is None, -len(place[1])))

    @property
    def default(self) -> str:
        """The name of the mount that is meant where none is named: ``assets``, else the first one.

        Raises:
            MountNotFound: no mount has a name.
        """
        if not self._named:
            raise MountNotFound("assets", [])
        return "assets" if "assets" in self._named else next(iter(self._named))

    def named(self, name: str) -> Mount:
        """The mount called *name*.

        Raises:
            MountNotFound: names the ones that exist.
        """
        mount = self._named.get(name)
        if mount is None:
            raise MountNotFound(name, self.names)
        return mount

    def at(self, host: str, path: str) -> Iterator[tuple[Mount, str, str]]:
        """The mounts that answer for *path* on *host*, best first: mount, its prefix, the rest of the path."""
        for wanted, prefix, mount in self._places:
            if path.startswith(prefix) and (wanted is None or _same_host(wanted, host)):
                yield mount, prefix, path[len(prefix) :]

    def _refuse_taken(self, prefix: str, mount: Mount) -> None:
        for host, taken, other in self._places:
            if (host, taken) == (mount.url.host, prefix):
                raise SettingsError(
                    f"mounts {other.label} ({other.backend.label}) and {mount.label} ({mount.backend.label}) would "
                    f"both answer at {prefix!r}; give one another url, or another origin_path= if its url is a full one"
                )


def _same_host(wanted: str, host: str) -> bool:
    """Whether a Host header is for *wanted*; its port counts only where *wanted* names one."""
    host = host.lower()
    return host == wanted or (host.rpartition(":")[0] or host) == wanted
