"""This module owns how a mount is wired: every argument is checked, and every decision taken, once.

Which backend a root names, how serving reads it, where its names come from: after this, nothing
asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from typing import Any, Literal

from assetstore.assets import paths
from assetstore.assets.cache_policy import HeaderRules, MaxAge, cors_origins, shared_policy
from assetstore.assets.immutable import ImmutableChoice, ImmutableNames
from assetstore.assets.media_types import MediaTypes
from assetstore.backends import OPENERS, Root, open_backend
from assetstore.backends.base import Backend, FileStat
from assetstore.backends.reader import reader_of
from assetstore.backends.remote import CacheSettings, Remote, RemoteLimits, remote
from assetstore.errors import SettingsError
from assetstore.mounts.mount import DELIVERY_BYTES, Mount, allowed_extensions
from assetstore.mounts.urls import HostChoice, Hosts, MountUrl, hosts
from assetstore.names.base import LocalResolver, Resolver, has_bytes_of_its_name
from assetstore.names.fingerprint import ContentFingerprint, Fingerprint, Fingerprinter, fingerprinter
from assetstore.names.manifest import Manifest
from assetstore.names.manifest_file import ManifestFile, scheme
from assetstore.names.options import Index
from assetstore.names.published import FollowedResolver, ManifestResolver, PublishedFingerprint, WatchedResolver
from assetstore.rewrite.backend import rewritten


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOptions:
    """What a user gave to :meth:`AssetStore.static <assetstore.store.AssetStore.static>`, unchecked."""

    url: str
    root: Root
    name: str | None
    allowed_ext: Iterable[str]
    public: bool
    fingerprint: bool | str | Fingerprinter
    host: str | None
    defaults: Mapping[str, str] | None
    storage_options: Mapping[str, Any] | None
    origin_path: str
    must_exist: bool
    headers: Mapping[str, Mapping[str, str]] | None
    shared_cache: str
    compress_bytes: int
    references: str | None
    asset_host: HostChoice | None
    manifest: str | PathLike[str] | Manifest | None
    index: str | Index
    cache: CacheSettings | None
    limits: RemoteLimits | None
    media_types: Mapping[str, str] | None = None
    max_age: int | Mapping[str, int] = 0
    immutable: ImmutableChoice | None = None
    cors: str | Iterable[str] | None = "*"
    hidden: str | Iterable[str] = ()
    html: bool = False
    fallback: str | None = None
    delivery: Literal["stream", "redirect", "proxy"] = "stream"
    delivery_bytes: int = DELIVERY_BYTES
    follow_symlinks: bool = False


def wire(given: MountOptions) -> Mount:
    """The mount that *given* describes.

    Raises:
        SettingsError: an argument is malformed; the message shows a good one.
    """
    public = _flag("public", given.public)
    index = Index.parse(given.index)
    published = _published(given, index)
    made_of = fingerprinter(given.fingerprint)
    if published is not None:
        made_of = PublishedFingerprint(published, made_of)
    html, media_types, immutable = (
        _flag("html", given.html),
        MediaTypes(given.media_types),
        ImmutableNames(given.immutable),
    )
    if made_of is not None and (html or immutable):
        made_of = copy(made_of)  # it may be an object of the user's, for several mounts
        made_of.leaves_out = lambda path: immutable.holds(path) or (html and media_types.bare(path) == "text/html")
    hidden = paths.hidden_names(given.hidden)
    stored = open_backend(
        given.root,
        _storage_options(given),
        must_exist=given.must_exist,
        follow_symlinks=_flag("follow_symlinks", given.follow_symlinks),
    )
    if hidden != paths.WELL_KNOWN and hasattr(stored, "dot_names"):
        stored.dot_names = hidden
    url = MountUrl.parse(given.url, host=given.host, origin_path=given.origin_path)
    allowed = allowed_extensions(given.allowed_ext)
    backend = rewritten(
        stored,
        made_of,
        given.references,
        prefixes=tuple(dict.fromkeys([url.base, *url.prefixes])),
        serves=lambda path: not allowed or paths.extension(path) in allowed,
    )
    resolver = published or _resolver(backend, made_of, index)
    far = _remote(backend, given, partial(_is_only_version, resolver, made_of))
    return Mount(
        name=_name(given.name),
        url=url,
        backend=backend,
        reader=reader_of(backend) if far is None else far.reader,
        remote=far,
        fingerprinter=made_of,
        hosts=_hosts(given.asset_host, url),
        resolver=resolver,
        allowed_ext=allowed,
        public=public,
        defaults=_defaults(given.defaults),
        headers=HeaderRules(given.headers),
        shared_cache=shared_policy(given.shared_cache, public=public),
        compress_bytes=_bytes("compress_bytes", given.compress_bytes),
        media_types=media_types,
        max_age=MaxAge(given.max_age),
        immutable=immutable,
        cors=cors_origins(given.cors) if public else frozenset(),
        hidden=hidden,
        html=html,
        fallback=_fallback(given.fallback),
        delivery=_delivery(given.delivery, backend),
        delivery_bytes=_bytes("delivery_bytes", given.delivery_bytes),
    )


def _hosts(choice: HostChoice | None, url: MountUrl) -> Hosts:
    """Which host URLs name; a URL that names one itself leaves no choice."""
    if choice is not None and url.absolute:
        raise SettingsError(f"asset_host={choice!r} and a url that names a host, {url.base!r}; give url a path")
    return hosts(choice)


def _storage_options(given: MountOptions) -> Mapping[str, Any] | None:
    """What the backend is opened with; our own ones hold their sockets to the mount's limits."""
    through = (given.storage_options or {}).get("backend")
    if (
        given.limits is None
        or not isinstance(given.root, str)
        or scheme(given.root) not in OPENERS
        or through == "fsspec"
    ):
        return given.storage_options
    return {
        "connect_timeout_seconds": given.limits.connect_seconds,
        "read_timeout_seconds": given.limits.read_seconds,
        **(given.storage_options or {}),
    }


def _remote(backend: Backend, given: MountOptions, is_only_version: Callable[[FileStat], bool]) -> Remote | None:
    """The guard and the cache around a storage behind a network; local files need neither."""
    if backend.remote:
        return remote(
            reader_of(backend), backend.label, cache=given.cache, limits=given.limits, immutable=is_only_version
        )
    for setting, value in (("cache", given.cache), ("limits", given.limits)):
        if value is not None:
            raise SettingsError(f"{setting}={value!r} is for remote storage, and {backend.label} is on this machine")
    return None


def _is_only_version(resolver: Resolver, made_of: Fingerprint | None, stat: FileStat) -> bool:
    """Whether this is the one version that its path ever names: what is stored under a fingerprinted name, proven."""
    digest = None if made_of is None else made_of.digests.known(stat)
    return has_bytes_of_its_name(stat, resolver, digest, by_content=isinstance(made_of, ContentFingerprint)) is True


def _resolver(backend: Backend, made_of: Fingerprint | None, index: Index) -> Resolver:
    """Where names come from that were not published: an index of what is far away, or a look at what is near."""
    return index.resolver(backend, made_of) if backend.remote else LocalResolver(backend, made_of)


def _published(given: MountOptions, index: Index) -> ManifestResolver | None:
    """The names of the manifest; one that lies beside the root is read with the root's own options."""
    if given.manifest is None:
        return None
    if isinstance(given.manifest, Manifest):
        return ManifestResolver(given.manifest)
    beside = isinstance(given.root, str) and scheme(given.root) == scheme(fspath(given.manifest)) != ""
    file = ManifestFile(given.manifest, given.storage_options if beside else None)
    return WatchedResolver(file, index.refresh_seconds) if file.remote else FollowedResolver(file)


def _name(name: object) -> str | None:
    if name is None or (isinstance(name, str) and name and ":" not in name):
        return name
    raise SettingsError(f"name={name!r} is no mount name; give a word without ':', such as 'assets'")


def _delivery(way: object, backend: Backend) -> Literal["stream", "redirect", "proxy"]:
    """``delivery=`` as it holds for *backend*: files of this machine are always streamed."""
    if way == "stream" or (way in {"redirect", "proxy"} and not backend.remote):
        return "stream"
    if way != "redirect" and way != "proxy":
        raise SettingsError(f"delivery={way!r} is not known; give 'stream', 'redirect' or 'proxy'")
    if not hasattr(backend, "presigned_url"):
        raise SettingsError(f"delivery={way!r} needs a bucket as s3://, whose URLs can be signed, not {backend.label}")
    return way


def _fallback(file: object) -> str | None:
    if file is None or (isinstance(file, str) and paths.is_clean(file)):
        return file
    raise SettingsError(f"fallback={file!r} is no path of a page; a good one is 'index.html'")


def _bytes(setting: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SettingsError(f"{setting}={value!r} is no number of bytes; give 33554432 for 32 MB, 0 for none")
    return value


def _flag(setting: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{setting}={value!r} is neither True nor False")
    return value


def _defaults(defaults: Mapping[str, str] | None) -> Mapping[str, str]:
    if not defaults:
        return {}
    if set(defaults) != {"file"} or not paths.is_clean(str(defaults["file"])):
        raise SettingsError(f"defaults={dict(defaults)!r} is not known; a good one is {{'file': 'index.html'}}")
    return dict(defaults)
