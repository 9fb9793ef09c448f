"""How settings and tags name a file, and what a page needs of it: URL, integrity, and whether it is on another host.

``"js/app.js"`` is a file of the default mount, ``"media:js/app.js"`` one of the mount ``media``;
``"/vendor/x.js"`` and ``"https://esm.sh/x"`` are URLs, used as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from assetstore.assets import paths
from assetstore.assets.media_types import STANDARD
from assetstore.errors import SettingsError, UnsafePath
from assetstore.mounts.mount import Mount
from assetstore.mounts.url_for import AssetUrls
from assetstore.names.base import Asset
from assetstore.templates.integrity import Integrity
from assetstore.templates.modules import Module

_URL = re.compile(r"/|[A-Za-z][A-Za-z0-9+.\-]*://|data:|blob:")
_MOUNT = re.compile(r"(?P<mount>[^:/]+):(?P<file>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a mount; ``mount`` is ``None`` for the default one. A folder's path ends in ``/``."""

    mount: str | None
    path: str

    @property
    def is_folder(self) -> bool:
        """Whether the path names a folder."""
        return self.path.endswith("/")

    def __str__(self) -> str:
        return repr(self.path if self.mount is None else f"{self.mount}:{self.path}")


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A URL that is used as it is."""

    url: str

    @property
    def is_folder(self) -> bool:
        """Whether the URL names a folder."""
        return self.url.endswith("/")

    def __str__(self) -> str:
        return repr(self.url)


Address = File | Verbatim


def is_url(text: str) -> bool:
    """Whether *text* is an absolute path or a full URL."""
    return _URL.match(text) is not None


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        UnsafePath: it is no legal logical path; the message says why.
    """
    if is_url(text):
        return Verbatim(text)
    if match := _MOUNT.fullmatch(text):
        return File(match["mount"], _cleaned(match["file"]))
    return File(None, _cleaned(text))


def read_address(value: object, where: str) -> Address:
    """Read an address of a setting, which may be a mapping too; *where* is for the message.

    Raises:
        SettingsError: it is malformed; the message says where and shows a good one.
    """
    match value:
        case str() if value:
            return _checked(value, where)
        case {"mount": str(mount), "file": str(file)} if mount:
            return _checked(f"{mount}:{file}", where)
        case {"url": str(url)} if is_url(url):
            return Verbatim(url)
        case Mapping():
            raise SettingsError(
                f"{where}: {value!r} is not understood; a good one is {{'mount': 'media', 'file': 'x.js'}}"
            )
    raise SettingsError(f"{where}: {value!r} names no file; give a path such as 'js/app.js', or a full URL")


def _checked(text: str, where: str) -> Address:
    if text.startswith(("./", "../")):
        bare = text.lstrip("./")
        raise SettingsError(f"{where}: {text!r} is relative; write it from the mount's root on, as {bare!r}")
    try:
        return parse_address(text)
    except UnsafePath as error:
        raise SettingsError(f"{where}: {error}") from None


def _cleaned(path: str) -> str:
    return paths.clean(path.removesuffix("/")) + ("/" if path.endswith("/") else "")


@dataclass(frozen=True, slots=True)
class Link:
    """A file as one page names it. ``mount`` and ``asset`` are ``None`` for a URL that is not ours."""

    url: str
    path: str
    mount: Mount | None = None
    asset: Asset | None = None
    #: Whether the URL is on another host than the page, so that CORS rules hold for it.
    crosses: bool = False

    @property
    def media_type(self) -> str:
        """The media type without parameters, as the file's mount has it."""
        return (STANDARD if self.mount is None else self.mount.media_types).bare(self.path)


class Links:
    """Names files for pages.

    Args:
        urls: gives the URLs.
        integrity: whether files carry integrity; ``None`` decides by file (see ``ASSETS_INTEGRITY``).
    """

    def __init__(self, urls: AssetUrls, integrity: bool | None) -> None:
        self.urls = urls
        self._integrity = integrity
        self._book = Integrity()

    def close(self) -> None:
        """End the thread; the next use starts another."""
        self._book.close()

    def mount(self, name: str | None) -> Mount:
        """The mount called *name*, or the default one.

        Raises:
            MountNotFound: there is none.
        """
        return self.urls.mounts.named(self.urls.mounts.default if name is None else name)

    def name(self, file: str | Address, request: object | None, *, same_origin: bool = False) -> Link:
        """*file* as the page of *request* names it.

        Raises:
            MountNotFound, UnsafePath, AssetNotFound: as :meth:`AssetUrls.url_for`.
        """
        address = parse_address(file) if isinstance(file, str) else file
        if isinstance(address, Verbatim):
            return Link(address.url, urlsplit(address.url).path, crosses=_crosses(address.url, request))
        mount = self.mount(address.mount)
        if address.is_folder:
            return Link(self._folder(mount, address, request), address.path, mount)
        name = address.mount or self.urls.mounts.default
        root_path = self.urls.root_path(request)
        url = self.urls.url_for(name, address.path, root_path=root_path, request=request, same_origin=same_origin)
        return Link(url, address.path, mount, self.urls.find(name, address.path), _crosses(url, request))

    def plain(self, mount: Mount, path: str, request: object | None) -> Link:
        """The file at *path* under the name that it has, as the page of *request* names it."""
        asset = mount.resolver.find(path) if mount.allows(path) else None
        url = mount.hosts.of(path, request) + mount.url.join(paths.to_url(path), self.urls.root_path(request))
        return Link(url, path, mount, asset, _crosses(url, request))

    def integrity(self, named: Link, wanted: bool | str | None = None) -> str | None:
        """The integrity of a named file: *wanted* itself if that is text, none where it is false.

        ``None`` decides as the store was set: by default where the host differs, or a manifest knows it.
        """
        if isinstance(wanted, str):
            return wanted
        if named.asset is None or named.mount is None:
            return None
        if wanted is None:
            wanted = self._integrity
        if wanted is None:
            wanted = named.crosses or named.asset.integrity is not None
        return self._book.of(named.asset, named.mount.backend) if wanted else None

    def module(self, address: Address) -> Module | None:
        """The module that *address* means; ``None`` for folders and for URLs that are not ours."""
        if not isinstance(address, File) or address.is_folder:
            return None
        return Module(self.mount(address.mount), address.path)

    def settle(self) -> None:
        """Wait until every digest that was requested is computed."""
        self._book.settle()

    def _folder(self, mount: Mount, folder: File, request: object | None) -> str:
        return mount.hosts.of(folder.path, request) + mount.url.join(
            paths.to_url(folder.path), self.urls.root_path(request)
        )


def _crosses(url: str, request: object | None) -> bool:
    host = urlsplit(url).netloc
    if not host:
        return False
    page = getattr(request, "url", None)
    return page is None or urlsplit(str(page)).netloc != host
