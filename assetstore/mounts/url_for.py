"""``url_for``: from a mount's name and a logical path to a URL."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, cast

from assetstore.assets import paths
from assetstore.errors import AssetNotFound, BackendError
from assetstore.mounts.mount import Mount, MountTable
from assetstore.mounts.urls import NO_HOST
from assetstore.names.base import Asset, BackgroundResolver
from assetstore.util.background import LoopBudget, on_event_loop

_log = logging.getLogger("assetstore")

#: How many names are compared, so that one typo cannot make a page wait for a large tree.
COMPARED = 500
#: How long a strict ``url_for`` waits for the names of a remote mount, in seconds.
STRICT_SECONDS = 10.0
#: What an event loop spends on looking for names that are close, in seconds of each second: of 500 names the three
#: closest take 5 ms.
HINT_SECONDS = 0.005
#: How many missing names are kept, so that each is warned of once.
MAX_WARNINGS = 1_000


class MissingAssets:
    """Says that an asset is missing: an error where the store is strict, else one warning each."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self._said: set[tuple[str, str]] = set()
        self._budget = LoopBudget(HINT_SECONDS)

    def report(self, mount: Mount, path: str) -> None:
        """Take note that a page named *path*, which *mount* does not have.

        Raises:
            AssetNotFound: only where the store is strict.
        """
        if isinstance(mount.resolver, BackgroundResolver) and not mount.resolver.knows(path):
            return  # not known yet is not missing
        if self.strict:
            raise self._error(mount, path, nearest(mount, path))
        key = (mount.label, path)
        if key in self._said or len(self._said) >= MAX_WARNINGS:
            return
        self._said.add(key)
        close = None
        if not self._budget.is_spent:
            with self._budget.spend():
                close = nearest(mount, path)
        _log.warning("%s; its URL carries no fingerprint", self._error(mount, path, close))

    def _error(self, mount: Mount, path: str, close: list[str] | None) -> AssetNotFound:
        """The error of a missing *path*, of which the names that are *close* were looked for, or were not."""
        hint = "is the name spelled as the file is?"
        if not mount.allows(path):
            hint = f"its extension is not among allowed_ext={sorted(mount.allowed_ext)}"
        elif close:
            hint = f"did you mean {' or '.join(map(repr, close))}?"
        return AssetNotFound(path, f"mount {mount.label} ({mount.backend.label})", hint)


def nearest(mount: Mount, path: str) -> list[str]:
    """Up to three names that *mount* has and that look like *path*, best first."""
    try:
        names = list(islice(mount.resolver.paths(), COMPARED))
    except (AssetNotFound, BackendError):
        return []
    same_name = [name for name in names if name.rpartition("/")[2] == path.rpartition("/")[2]]
    import difflib

    return (same_name + [each for each in difflib.get_close_matches(path, names) if each not in same_name])[:3]


#: How many paths and URLs are kept.
MAX_URLS = 20_000


# A page names the same few files again and again; checking a path costs more than finding it.
@lru_cache(maxsize=MAX_URLS)
def _clean(path: str, hidden: frozenset[str]) -> str:
    return paths.clean(path, hidden=hidden)


class _Named(NamedTuple):
    """A URL that holds for as long as the resolver finds this very asset."""

    find: Callable[[str], Asset | None]
    asset: Asset
    url: str


class AssetUrls:
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
        asset = mount.resolver.find(_clean(file, mount.hidden))
        if asset is None and self._missing.strict:
            asset = self._wait_for(mount, file)
        if asset is None or not mount.allows(file):
            self._missing.report(mount, file)
            asset = Asset(file)
        elif plain and mount.hosts is NO_HOST:
            return self._remember(name, file, _Named(mount.resolver.find, asset, mount.url.join(asset.url_path)))
        if same_origin:
            return mount.url.join_origin(asset.url_path, root_path)
        return mount.hosts.of(file, request) + mount.url.join(asset.url_path, root_path)

    def _wait_for(self, mount: Mount, file: str) -> Asset | None:
        """What *mount* has under that name, once its names are read: a strict store may wait, but for an event loop."""
        resolver = mount.resolver
        if not isinstance(resolver, BackgroundResolver) or resolver.knows(file) or on_event_loop():
            return None
        resolver.wait(STRICT_SECONDS, file)
        return resolver.find(file)

    def _remember(self, name: str, file: str, named: _Named) -> str:
        if len(self._named) >= MAX_URLS:
            self._named.clear()
        self._named[name, file] = named
        return named.url

    def find(self, name: str, file: str) -> Asset | None:
        """What is known of *file* in the mount called *name*; ``None`` if it is missing or not served.

        Raises:
            MountNotFound, UnsafePath: as :meth:`url_for`.
        """
        mount = self.mounts.named(name)
        asset = mount.resolver.find(_clean(file, mount.hidden))
        return asset if asset is not None and mount.allows(file) else None

    def root_path(self, request: object | None) -> str:
        """What stands before path-only URLs on the page of *request*: where the store's routes are.

        They are in the application that renders the page, at its top or inside a ``Mount``; else, for a page of a
        mounted sub-application, in the outermost application.
        """
        if request is None:
            return self.below
        scope = cast("Mapping[str, Any]", getattr(request, "scope", {}))
        here = str(scope.get("root_path", ""))
        outermost = str(scope.get("app_root_path", here))
        if self.below:
            return outermost + self.below
        routes = list(getattr(scope.get("app"), "routes", ()))
        place = _place_of(self.mounts, routes)
        if place is None:
            return outermost
        # A page inside a Mount of the same application has that Mount's path in its root path.
        inside = here.removeprefix(outermost) in _mounted_at(routes)
        return (outermost if inside else here) + place


def _mounted_at(routes: Iterable[object]) -> Iterator[str]:
    """The path of each ``Mount`` among *routes*, those inside others included."""
    for route in routes:
        if inner := getattr(route, "routes", None):
            path = str(getattr(route, "path", ""))
            yield path
            yield from (path + each for each in _mounted_at(inner))


def _place_of(mounts: MountTable, routes: Iterable[object]) -> str | None:
    """The path at which the routes of the store with *mounts* stand among *routes*; ``None`` if they do not."""
    for route in routes:
        if getattr(route, "mounts", None) is mounts:
            return ""
    for route in routes:
        inner = getattr(route, "routes", None)
        if inner and (place := _place_of(mounts, inner)) is not None:
            return str(getattr(route, "path", "")) + place
    return None
