"""From the options of ``static()`` to a :class:`Mount`: every option is checked, and every decision taken, once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from importlib.util import find_spec
from os import fspath
from typing import Any, Literal

from assetstore.assets import paths
from assetstore.assets.cache_policy import HeaderRules, MaxAge, cors_origins, shared_policy
from assetstore.assets.immutable import ImmutableNames
from assetstore.assets.media_types import MediaTypes
from assetstore.assets.selection import Selection
from assetstore.backends import OPENERS, open_backend
from assetstore.backends.base import Backend, FileStat
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.local.overlay import Overlay
from assetstore.backends.reader import reader_of
from assetstore.backends.remote import Remote, remote
from assetstore.errors import BackendError, ManifestError, SettingsError
from assetstore.mounts.mount import Mount, allowed_extensions
from assetstore.mounts.options import MountOptions, completed
from assetstore.mounts.urls import ORIGIN_PATH, HostChoice, Hosts, MountUrl, hosts
from assetstore.names.base import BackgroundResolver, LocalResolver, Resolver, has_bytes_of_its_name
from assetstore.names.fingerprint import LENGTH, ContentFingerprint, Fingerprint, fingerprinter
from assetstore.names.manifest import Manifest
from assetstore.names.manifest_file import ManifestFile, scheme
from assetstore.names.options import Index
from assetstore.names.published import (
    LOCAL_REFRESH_SECONDS,
    FollowedResolver,
    ManifestResolver,
    PublishedFingerprint,
    ReleaseResolver,
    WatchedResolver,
)
from assetstore.rewrite.backend import rewritten

#: ``package:folder`` of an installed package; two letters at least, so that ``C:`` stays a drive.
_PACKAGE = re.compile(r"(?P<package>[A-Za-z_][\w.]+):(?P<folder>(?!/|\\).+)")


def build_mount(url: str, options: MountOptions) -> Mount:
    """The mount of *options* at *url*: a path prefix, or a full URL.

    Raises:
        SettingsError: an argument is malformed; the message shows a good one.
    """
    given = completed(options)
    public = _flag("public", given["public"])
    index = Index.parse(given["index"])
    made_of = fingerprinter(given["fingerprint"], given["fingerprint_length"])
    hidden = paths.hidden_names(given["hidden"])
    stored = _open(given)
    published: Resolver | None = None
    if (named := _manifest(given, index)) is not None:
        published, made_of = named, PublishedFingerprint(named, made_of)
    elif made_of is not None and (release := _live_release(given, stored, made_of, index)) is not None:
        published, made_of = release, PublishedFingerprint(release, made_of)
    html, media_types, immutable = (
        _flag("html", given["html"]),
        MediaTypes(given["media_types"]),
        ImmutableNames(given["immutable"]),
    )
    if made_of is not None and (html or immutable):
        made_of = copy(made_of)  # it may be an object of the user's, for several mounts
        made_of.leaves_out = lambda path: immutable.holds(path) or (html and media_types.bare(path) == "text/html")
    if hidden != paths.WELL_KNOWN and hasattr(stored, "dot_names"):
        stored.dot_names = hidden
    place = MountUrl.parse(url, host=given["host"], origin_path=given["origin_path"] or ORIGIN_PATH)
    allowed = allowed_extensions(given["allowed_ext"])
    selection = Selection(given["include"], given["exclude"])
    backend = rewritten(
        stored,
        made_of,
        given["references"],
        prefixes=tuple(dict.fromkeys([place.base, *place.prefixes])),
        serves=lambda path: (not allowed or paths.extension(path) in allowed) and selection.allows(path),
    )
    resolver = published if published is not None else _resolver(backend, made_of, index)
    if index.wait_seconds and isinstance(resolver, BackgroundResolver):
        resolver.wait(index.wait_seconds)
    far = _remote(backend, given, partial(_is_only_version, resolver, made_of))
    return Mount(
        name=_name(given["name"]),
        url=place,
        backend=backend,
        reader=reader_of(backend) if far is None else far.reader,
        remote=far,
        fingerprinter=made_of,
        hosts=_hosts(given["asset_host"], place),
        resolver=resolver,
        allowed_ext=allowed,
        public=public,
        defaults=_defaults(given["defaults"]),
        headers=HeaderRules(given["headers"]),
        shared_cache=shared_policy(given["shared_cache"], public=public),
        compress_bytes=_bytes("compress_bytes", given["compress_bytes"]),
        media_types=media_types,
        max_age=MaxAge(given["max_age"]),
        immutable=immutable,
        selection=selection,
        cors=cors_origins(given["cors"]) if public else frozenset(),
        hidden=hidden,
        html=html,
        fallback=_fallback(given["fallback"]),
        delivery=_delivery(given["delivery"], backend),
        delivery_bytes=_bytes("delivery_bytes", given["delivery_bytes"]),
    )


def _hosts(choice: HostChoice | None, url: MountUrl) -> Hosts:
    """Which host URLs name; a URL that names one itself leaves no choice."""
    if choice is not None and url.absolute:
        raise SettingsError(f"asset_host={choice!r} and a url that names a host, {url.base!r}; give url a path")
    return hosts(choice)


def _storage_options(given: MountOptions) -> Mapping[str, Any] | None:
    """What the backend is opened with; our own ones hold their sockets to the mount's limits."""
    through = (given["storage_options"] or {}).get("backend")
    if (
        given["limits"] is None
        or not isinstance(given["root"], str)
        or scheme(given["root"]) not in OPENERS
        or through == "fsspec"
    ):
        return given["storage_options"]
    return {
        "connect_timeout_seconds": given["limits"].connect_seconds,
        "read_timeout_seconds": given["limits"].read_seconds,
        **(given["storage_options"] or {}),
    }


def _remote(backend: Backend, given: MountOptions, is_only_version: Callable[[FileStat], bool]) -> Remote | None:
    """The guard and the cache around a storage behind a network; local files need neither."""
    if backend.remote:
        return remote(
            reader_of(backend), backend.label, cache=given["cache"], limits=given["limits"], immutable=is_only_version
        )
    return None


def _is_only_version(resolver: Resolver, made_of: Fingerprint | None, stat: FileStat) -> bool:
    """Whether this is the one version that its path ever names: what is stored under a fingerprinted name, proven."""
    digest = None if made_of is None else made_of.digests.known(stat)
    by_content, length = isinstance(made_of, ContentFingerprint), LENGTH if made_of is None else made_of.length
    return has_bytes_of_its_name(stat, resolver, digest, by_content=by_content, length=length) is True


def _resolver(backend: Backend, made_of: Fingerprint | None, index: Index) -> Resolver:
    """Where names come from that were not published: an index of what is far away, or a look at what is near."""
    return index.resolver(backend, made_of) if backend.remote else LocalResolver(backend, made_of)


def _manifest(given: MountOptions, index: Index) -> ManifestResolver | None:
    """The names of ``manifest=``; one that lies beside the root is read with the root's own options."""
    manifest, root = given["manifest"], given["root"]
    if manifest is None or manifest is False:
        return None
    if isinstance(manifest, Manifest):
        return ManifestResolver(manifest)
    beside = isinstance(root, str) and scheme(root) == scheme(fspath(manifest)) != ""
    file = ManifestFile(manifest, given["storage_options"] if beside else None)
    return WatchedResolver(file, index.refresh_seconds) if file.remote else FollowedResolver(file)


def _live_release(given: MountOptions, stored: Backend, made_of: Fingerprint, index: Index) -> ReleaseResolver | None:
    """The names of the live release in the root, where it was published to, or may have been."""
    if given["manifest"] is False or given["references"] is not None:
        return None
    file = ManifestFile.of_release(stored)
    if stored.remote:
        return ReleaseResolver(file, index.resolver(stored, made_of), index.refresh_seconds)
    with suppress(BackendError, ManifestError):  # what is wrong with the root itself is found where it is used
        if file.exists:
            return ReleaseResolver(file, LocalResolver(stored, made_of), LOCAL_REFRESH_SECONDS)
    return None


def _open(given: MountOptions) -> Backend:
    """The backend of ``root``, which may be several directories or a folder of an installed package."""
    root, must_exist = given["root"], given["must_exist"]
    follow = _flag("follow_symlinks", given["follow_symlinks"])
    if isinstance(root, list):
        if not root:
            raise SettingsError("root=[] names no directory; give at least one, as root=['assets']")
        return Overlay([LocalBackend(fspath(each), must_exist=must_exist, follow_symlinks=follow) for each in root])
    if isinstance(root, str) and (match := _PACKAGE.fullmatch(root)) is not None:
        folder = _folder_of(match["package"], match["folder"], root)
        return LocalBackend(folder, must_exist=must_exist, follow_symlinks=follow)
    backend = open_backend(root, _storage_options(given), must_exist=must_exist, follow_symlinks=follow)
    if given["limits"] is not None and hasattr(backend, "folder_seconds"):  # an fsspec filesystem
        backend.folder_seconds = given["limits"].total_seconds
    return backend


def _folder_of(package: str, folder: str, root: str) -> str:
    """The directory *folder* of an installed package."""
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise SettingsError(
            f"root={root!r}: there is no package {package!r}; give 'package:folder' of an installed one"
        )
    for place in found.submodule_search_locations:
        if os.path.isdir(path := os.path.join(place, folder)):
            return path
    raise SettingsError(f"root={root!r}: the package {package!r} has no folder {folder!r}")


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
    if not isinstance(defaults, Mapping) or set(defaults) != {"file"} or not paths.is_clean(str(defaults["file"])):
        raise SettingsError(f"defaults={defaults!r} is not known; a good one is {{'file': 'index.html'}}")
    return dict(defaults)
