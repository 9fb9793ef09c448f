"""This module owns ``url_for``: from a mount's name and a logical path to a URL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from assetstore import paths
from assetstore.missing import MissingAssets
from assetstore.mounts import MountTable
from assetstore.resolver import Asset

# A page names the same few files again and again; checking a path costs more than finding it.
_clean = lru_cache(maxsize=20_000)(paths.clean)


class Namer:
    """Gives assets their URLs. Never touches the network, never raises for a missing file unless strict."""

    def __init__(self, mounts: MountTable, missing: MissingAssets) -> None:
        self.mounts = mounts
        self._missing = missing
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
        mount = self.mounts.named(name)
        asset = mount.resolver.find(_clean(file))
        if asset is None or not mount.allows(file):
            self._missing.report(mount, file)
            asset = Asset(file)
        if same_origin:
            return mount.url.join_origin(asset.url_path, root_path)
        return mount.hosts.of(file, request) + mount.url.join(asset.url_path, root_path)

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
        scope = cast("Mapping[str, Any]", getattr(request, "scope", {}))
        return str(scope.get("app_root_path", scope.get("root_path", ""))) + self.below
