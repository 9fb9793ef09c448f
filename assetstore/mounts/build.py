"""The options of ``static()``, each named, typed and described once; and the :class:`Mount` that they make."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from importlib.util import find_spec
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

from assetstore.assets import paths
from assetstore.assets.cache_policy import (
    HeaderRules,
    ImmutableChoice,
    ImmutableNames,
    MaxAge,
    cors_origins,
    shared_policy,
)
from assetstore.assets.compression import BUDGET_BYTES
from assetstore.assets.media_types import MediaTypes
from assetstore.assets.paths import PathFilter
from assetstore.backends import OPENERS, Root, open_backend
from assetstore.backends.base import Backend, FileStat, Presigns
from assetstore.backends.local.backend import LocalBackend, Overlay
from assetstore.backends.reader import reader_of
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.errors import BackendError, ManifestError, SettingsError
from assetstore.mounts.mount import DELIVERY_BYTES, Mount, allowed_extensions
from assetstore.mounts.urls import ORIGIN_PATH, HostChoice, Hosts, MountUrl, hosts
from assetstore.names.base import BackgroundResolver, LocalResolver, Resolver, has_bytes_of_its_name
from assetstore.names.fingerprint import LENGTH, ContentFingerprint, Fingerprint, Fingerprinter, fingerprinter
from assetstore.names.listing import Index
from assetstore.names.manifest import Manifest, ManifestFile, scheme
from assetstore.names.published import (
    LOCAL_REFRESH_SECONDS,
    FollowedResolver,
    ManifestResolver,
    PublishedFingerprint,
    ReleaseResolver,
    WatchedResolver,
)

if TYPE_CHECKING:
    from assetstore.backends.remote.reader import Remote


class MountOptions(TypedDict, total=False):
    """What :meth:`AssetStore.static <assetstore.store.AssetStore.static>` takes besides the URL."""

    #: Where the files are: a directory, a list of directories (the first that has a file wins), ``package:folder`` of an
    #: installed package, an fsspec URL (``s3://bucket/prefix``), ``(filesystem, path)``, a ``UPath``, or a backend.
    root: Required[Root | list[str | PathLike[str]]]
    #: The name for ``url_for``; default none.
    name: str | None
    #: Extensions that may be served, ``""`` for files without one; default: all.
    allowed_ext: Iterable[str]
    #: Whether shared caches may keep the responses, and other origins read them; default true.
    public: bool
    #: ``True`` (default): SHA-256 of the modified time, with the content where the time cannot tell versions apart;
    #: ``"mtime"``: of the time alone; ``"content"``: of the content; ``False``: none; or an object of your own.
    fingerprint: bool | Literal["mtime", "content"] | Fingerprinter
    #: How many digits of the fingerprint URLs carry: 64 (default), or as few as 8 (32 bits). URLs with all 64 are answered
    #: as well, so that pages of before a change keep working.
    fingerprint_length: int
    #: The only host on which the mount answers; its URLs then begin with ``//host/``. Default: every host.
    host: str | None
    #: ``{"file": "index.html"}`` answers the bare prefix with that file; default none.
    defaults: Mapping[str, str] | None
    #: What a remote backend needs: endpoint, credentials, client settings. Idle on a local root.
    storage_options: Mapping[str, Any] | None
    #: Where this server answers too when the URL is a full one; default ``/assets/``, or the path below it that a
    #: relative URL names.
    origin_path: str | None
    #: Whether a missing directory is an error now; default true, ``False`` for trees built later.
    must_exist: bool
    #: Further response headers by glob pattern: ``{"*.svg": {"Content-Security-Policy": "…"}}``.
    headers: Mapping[str, Mapping[str, str]] | None
    #: For plain files, what shared caches may do: ``"s-maxage=60"``; default nothing.
    shared_cache: str
    #: Memory for what is compressed while serving, in bytes; default 32 MiB, 0 sends only what stands beside a file.
    compress_bytes: int
    #: ``"rewrite"`` writes fingerprinted URLs into style sheets, HTML, SVG and web manifests, and warns of references
    #: that lead nowhere; ``"strict"`` refuses those. Scripts are left to the import map, and source maps as they are:
    #: their ``sources`` are for developer tools, which find the plain names. Default: files are sent as they are.
    references: Literal["rewrite", "strict"] | None
    #: The host that URLs name, where the URL is a path: ``"https://cdn.example.com"``, a list over which files are
    #: spread, or a callable that gets the request.
    asset_host: HostChoice | None
    #: The path or URL of what ``assetstore publish`` wrote: names come from it alone. ``False``: not even from the live
    #: release that lies in the root. Default: from that release, if there is one.
    manifest: str | PathLike[str] | Manifest | Literal[False] | None
    #: How the names of a remote root are read: ``"listing"`` (default), ``"lazy"``, or an ``Index``. Idle on a local root.
    index: Literal["listing", "lazy"] | Index
    #: What is kept of a remote root, in memory and on disk, and for how long. Idle on a local root.
    cache: CacheSettings | None
    #: Timeouts, attempts and circuit breaker of a remote root. Idle on a local root.
    limits: RemoteLimits | None
    #: Media types by extension or file name, before the package's own table: ``{".usdz": "model/vnd.usdz+zip"}``.
    media_types: Mapping[str, str] | None
    #: For how many seconds plain files may be used without revalidation: a number for all (default 0), or by glob
    #: pattern, ``{"*.png": 3600}``.
    max_age: int | Mapping[str, int]
    #: Names that a bundler made of the content, whose plain URL is good for a year: ``"vite"``, ``"rollup"``,
    #: ``"esbuild"``, ``"webpack"``, ``"parcel"``, a glob pattern, a callable, or a list.
    immutable: ImmutableChoice | None
    #: Which origins may read responses of a public mount: ``"*"`` (default) for all, ``None``, or a list.
    cors: str | Iterable[str] | None
    #: Names with a leading dot that are served, beside ``.well-known``.
    hidden: str | Iterable[str]
    #: Whether the mount is a site: ``docs/`` is ``docs/index.html``, ``docs`` redirects there, ``about`` is
    #: ``about.html``, and ``404.html`` is the body of 404s. Default false.
    html: bool
    #: The page of a single-page application (``"index.html"``), for navigations to unknown paths.
    fallback: str | None
    #: Who sends the bytes of a bucket's files once the request is verified: the application (``"stream"``, default),
    #: the storage (``"redirect"``: 307 to a presigned URL), or the proxy in front (``"proxy"``: ``X-Accel-Redirect``).
    delivery: Literal["stream", "redirect", "proxy"]
    #: From how many bytes on files of a public mount go that way; in a private one all do.
    delivery_bytes: int
    #: Whether links in a directory may lead out of it, as package managers and Bazel make them; each still has to lead
    #: to a regular file. Default false.
    follow_symlinks: bool
    #: Glob patterns of files that are served and published although their names look like secrets or leftovers:
    #: ``["public-key.pem"]``.
    include: Iterable[str]
    #: Glob patterns of files that are neither served nor published: ``["*.map", "drafts/**"]``.
    exclude: Iterable[str]


#: What holds for an option that is not given.
DEFAULTS: MountOptions = {
    "root": "",
    "name": None,
    "allowed_ext": (),
    "public": True,
    "fingerprint": True,
    "fingerprint_length": LENGTH,
    "host": None,
    "defaults": None,
    "storage_options": None,
    "origin_path": None,
    "must_exist": True,
    "headers": None,
    "shared_cache": "",
    "compress_bytes": BUDGET_BYTES,
    "references": None,
    "asset_host": None,
    "manifest": None,
    "index": "listing",
    "cache": None,
    "limits": None,
    "media_types": None,
    "max_age": 0,
    "immutable": None,
    "cors": "*",
    "hidden": (),
    "html": False,
    "fallback": None,
    "delivery": "stream",
    "delivery_bytes": DELIVERY_BYTES,
    "follow_symlinks": False,
    "include": (),
    "exclude": (),
}


def completed(options: MountOptions) -> MountOptions:
    """*options* with the default of each that is not given.

    Raises:
        SettingsError: an option is unknown, or there is no root; the message names the one that was meant.
    """
    for name in options:
        if name not in DEFAULTS:
            import difflib

            close = difflib.get_close_matches(name, DEFAULTS, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"they are: {', '.join(DEFAULTS)}"
            raise SettingsError(f"static() knows no option {name!r}; {meant}")
    if "root" not in options:
        raise SettingsError("static() needs root=: a directory ('assets') or a URL ('s3://bucket/prefix')")
    return {**DEFAULTS, **options}


def static_signature() -> inspect.Signature:
    """The signature of ``AssetStore.static``, its options one by one."""
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    given = [inspect.Parameter("self", positional), inspect.Parameter("url", positional, default=None)]
    hints = MountOptions.__annotations__
    for name, default in DEFAULTS.items():
        empty = inspect.Parameter.empty
        given.append(
            inspect.Parameter(name, keyword, default=empty if name == "root" else default, annotation=hints[name])
        )
    return inspect.Signature(given, return_annotation="Mount")


#: ``package:folder`` of an installed package; two letters at least, so that ``C:`` stays a drive. ``zip::s3://...`` and
#: ``s3://...`` are URLs.
_PACKAGE = re.compile(r"(?P<package>[A-Za-z_][\w.]+):(?P<folder>(?![/\\:]).+)")


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
    selection = PathFilter(given["include"], given["exclude"])
    backend = stored
    if given["references"] is not None:
        from assetstore.rewrite.backend import rewritten  # with its parsers, which most mounts never need

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
    readers = _remote(backend, given, partial(_is_only_version, resolver, made_of))
    return Mount(
        name=_name(given["name"]),
        url=place,
        backend=backend,
        reader=reader_of(backend) if readers is None else readers.reader,
        remote=readers,
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
    if not backend.remote:
        return None
    from assetstore.backends.remote.reader import remote  # a store of local mounts starts without it

    return remote(
        reader_of(backend), backend.label, cache=given["cache"], limits=given["limits"], immutable=is_only_version
    )


def _is_only_version(resolver: Resolver, made_of: Fingerprint | None, stat: FileStat) -> bool:
    """Whether this is the one version that its path ever names: what is stored under a fingerprinted name, proven."""
    digest = None if made_of is None else made_of.digests.known(stat)
    by_content, length = isinstance(made_of, ContentFingerprint), LENGTH if made_of is None else made_of.length
    return has_bytes_of_its_name(stat, resolver, digest, by_content=by_content, length=length) is True


def _resolver(backend: Backend, made_of: Fingerprint | None, index: Index) -> Resolver:
    """Where names come from that were not published: an index of a remote mount, or a local ``stat``."""
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
    if not isinstance(backend, Presigns):
        raise SettingsError(
            f"delivery={way!r} needs a bucket as s3://, gs:// or az://, whose URLs can be signed, and whose files are "
            f"sent as they are stored, not {backend.label}"
        )
    backend.require_signing()
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
