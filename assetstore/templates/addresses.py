"""How settings and tags name a file.

``"js/app.js"`` is a file of the default mount, ``"media:js/app.js"`` one of the mount ``media``;
``"/vendor/x.js"`` and ``"https://esm.sh/x"`` are URLs, used as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from assetstore.assets import paths
from assetstore.errors import SettingsError, UnsafePath

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


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        UnsafePath: it is no legal logical path; the message says why.
    """
    if is_url(text):
        return Verbatim(text)
    if match := _MOUNT.fullmatch(text):
        return File(match["mount"], _cleaned(match["file"]))
    return File(None, _cleaned(text))


def read(value: object, where: str) -> Address:
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
        return parse(text)
    except UnsafePath as error:
        raise SettingsError(f"{where}: {error}") from None


def _cleaned(path: str) -> str:
    return paths.clean(path.removesuffix("/")) + ("/" if path.endswith("/") else "")
