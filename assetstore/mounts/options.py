"""The options of ``AssetStore.static``: each named, typed and described once."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Literal, Required, TypedDict

from assetstore.assets.compression import BUDGET_BYTES
from assetstore.assets.immutable import ImmutableChoice
from assetstore.backends import Root
from assetstore.backends.remote import CacheSettings, RemoteLimits
from assetstore.errors import SettingsError
from assetstore.mounts.mount import DELIVERY_BYTES
from assetstore.mounts.urls import HostChoice
from assetstore.names.fingerprint import LENGTH, Fingerprinter
from assetstore.names.manifest import Manifest
from assetstore.names.options import Index


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
    #: that lead nowhere; ``"strict"`` refuses those. Default: files are sent as they are.
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
