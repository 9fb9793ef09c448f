"""This module owns ``url_for``: from a mount's name and a logical path to a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from assetstore import paths
from assetstore.hosts import NO_HOST
from assetstore.missing import MissingAssets
from assetstore.mounts import MountTable
from assetstore.resolver import Asset

#: How many paths and URLs are remembered.
REMEMBERED = 20_000

# A page names the same few files again and again; checking a path costs more than finding it.
_clean = lru_cache(maxsize=REMEMBERED)(paths.clean)


class _Named(NamedTuple):
    """A URL that holds for as long as the resolver finds this very asset."""

    find: Callable[[str], Asset | None]
    asset: Asset
    url: str


class Namer:
    """Gives assets their URLs. Never touches the network, never raises for a missing file unless strict."""

    def __init__(self, mounts: MountTable, missing: MissingAssets) -> None:
        self.mounts = mounts
        self._missing = missing
        self._named: dict[tuple[str, str], _Named] = {}
        #: The path at which the store's routes stand, where that is inside a Starlette ``Mount``.
        self.below = ""

    def url_for(
        self, name: str, file: str, *, root_path: str = "", request: object | None = None, same_origin: bool = False
    ) -> str:
        """The URL of *file* in the mount called *name*.

        Args:
            name: a mount's name.
            file: logical path, relative to the mount's root, without a leading slash.
            root_path: what stands before path-only URLs: the ASGI root path of the application.
            request: what an ``asset_host`` that is a callable is given.
            same_origin: whether to name this server whatever the CDN, as workers and service workers need.

        Raises:
            MountNotFound: no mount has that name; the message names the ones that exist.
            UnsafePath: *file* has a leading slash, ``..`` or another spelling that no asset has.
            AssetNotFound: *file* is missing and the store is strict.
        """
        plain = not (root_path or same_origin)
        if plain and (named := self._named.get((name, file))) is not None and named.find(file) is named.asset:
            return named.url
        mount = self.mounts.named(name)
        asset = mount.resolver.find(_clean(file))
        if asset is None or not mount.allows(file):
            self._missing.report(mount, file)
            asset = Asset(file)
        elif plain and mount.hosts is NO_HOST:
            return self._remember(name, file, _Named(mount.resolver.find, asset, mount.url.join(asset.url_path)))
        if same_origin:
            return mount.url.join_origin(asset.url_path, root_path)
        return mount.hosts.of(file, request) + mount.url.join(asset.url_path, root_path)

    def _remember(self, name: str, file: str, named: _Named) -> str:
        if len(self._named) >= REMEMBERED:
            self._named.clear()
        self._named[name, file] = named
        return named.url

    def find(self, name: str, file: str) -> Asset | None:
        """What is known of *file* in the mount called *name*; ``None`` if it is missing or not served.

        Raises:
            MountNotFound, UnsafePath: as :meth:`url_for`.
        """
        mount = self.mounts.named(name)
        asset = mount.resolver.find(_clean(file))
        return asset if asset is not None and mount.allows(file) else None

    def root_path(self, request: object | None) -> str:
        """What stands before path-only URLs on the page of *request*: its application's ASGI root path, first of all."""
        if request is None:
            return self.below
        scope = cast("Mapping[str, Any]", getattr(request, "scope", {}))
        return str(scope.get("app_root_path", scope.get("root_path", ""))) + self.below
