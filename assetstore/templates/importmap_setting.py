"""The ``IMPORT_MAP`` setting, checked when it is read.

The short form maps specifiers to files. The long form has sections::

    {"imports": {"app": "js/app.js", "lib/": "js/lib/"},
     "pin_all": {"controllers/": "js/controllers/"},
     "entries": ["js/app.js"],
     "scopes": {"js/admin/": {"turbo": "js/turbo-7.js"}},
     "integrity": True}

:mod:`assetstore.templates.importmap` resolves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assetstore.errors import SettingsError
from assetstore.templates import addresses
from assetstore.templates.addresses import Address, File, Verbatim
from assetstore.templates.integrity import is_integrity

SECTIONS = ("imports", "pin_all", "entries", "scopes", "integrity")


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of the map, and the integrity that its author gave for it."""

    specifier: str
    address: Address
    integrity: str | None = None


@dataclass(frozen=True, slots=True)
class PinAll:
    """Every module of a folder, under a prefix: ``hello.js`` as ``<prefix>hello``, ``index.js`` as the prefix."""

    prefix: str
    folder: File


@dataclass(frozen=True, slots=True)
class Scope:
    """Pins that hold only for importing modules below *prefix*."""

    prefix: Address
    pins: tuple[Pin, ...]


@dataclass(frozen=True, slots=True)
class ImportMap:
    """The import map as it was set."""

    pins: tuple[Pin, ...] = ()
    folders: tuple[PinAll, ...] = ()
    #: Files whose imports are followed, besides those of the pins.
    entries: tuple[File, ...] = ()
    scopes: tuple[Scope, ...] = ()
    #: Whether the map carries integrity; ``None`` leaves it to the store's own setting.
    integrity: bool | None = None
    #: Integrity of URLs that are not ours.
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, setting: Mapping[str, Any]) -> ImportMap:
        """Read the setting, in its short or its long form.

        Raises:
            SettingsError: something in it is malformed; the message says where, and shows a good value.
        """
        if not setting or not all(key in SECTIONS and not isinstance(setting[key], str) for key in setting):
            _refuse_mixture(setting)
            return cls(pins=_pins(setting, "IMPORT_MAP"))
        wanted, digests = _integrity(setting.get("integrity"))
        return cls(
            pins=_pins(setting.get("imports", {}), "imports"),
            folders=tuple(_each(setting.get("pin_all", {}), "pin_all", _pin_all)),
            entries=tuple(_entry(each) for each in _list(setting.get("entries", ()))),
            scopes=tuple(_each(setting.get("scopes", {}), "scopes", _scope)),
            integrity=wanted,
            digests=digests,
        )


def _refuse_mixture(setting: Mapping[str, Any]) -> None:
    for key, value in setting.items():
        sectionlike = key in SECTIONS and (isinstance(value, bool | list | tuple) or key in {"imports", "scopes"})
        if sectionlike and not isinstance(value, str):
            others = ", ".join(repr(each) for each in setting if each not in SECTIONS)
            raise SettingsError(
                f"import map: {key!r} is a section, and {others} stand beside it; put pins under 'imports'"
            )


def _each(section: object, name: str, read: Callable[[str, Any, str], Any]) -> Iterable[Any]:
    if not isinstance(section, Mapping):
        raise SettingsError(f"import map: {name!r} is no mapping but {section!r}; a good one is {{'app': 'js/app.js'}}")
    for key, value in section.items():
        where = f"import map: {name}[{key!r}]"
        if not isinstance(key, str) or not key or key != key.strip():
            raise SettingsError(f"{where}: the key is no specifier; give a bare name such as '@hotwired/turbo'")
        yield read(key, value, where)


def _pins(section: object, name: str) -> tuple[Pin, ...]:
    return tuple(_each(section, name, _pin))


def _pin(specifier: str, value: Any, where: str) -> Pin:
    if specifier.startswith(("./", "../")):
        raise SettingsError(
            f"{where}: a relative key means another module on every page; write a bare name, as {specifier.lstrip('./')!r}"
        )
    integrity = value.get("integrity") if isinstance(value, Mapping) else None
    if integrity is not None and not is_integrity(integrity):
        raise SettingsError(f"{where}: integrity {integrity!r} is none; give 'sha384-' and 64 characters of base64")
    address = addresses.read(_without(value, "integrity"), where)
    if address.is_folder != specifier.endswith("/"):
        raise SettingsError(f"{where}: either both or neither of key and value end in '/', which makes them folders")
    return Pin(specifier, address, integrity)


def _without(value: Any, key: str) -> Any:
    return {name: value[name] for name in value if name != key} if isinstance(value, Mapping) else value


def _pin_all(prefix: str, value: Any, where: str) -> PinAll:
    folder = addresses.read(f"{value.rstrip('/')}/" if isinstance(value, str) else value, where)
    if not isinstance(folder, File) or not folder.is_folder:
        raise SettingsError(f"{where}: {value!r} is no folder of a mount; give one such as 'js/controllers/'")
    return PinAll(prefix.rstrip("/") + "/", folder)


def _scope(prefix: str, value: Any, where: str) -> Scope:
    pins = tuple(_each(value, f"scopes[{prefix!r}]", _pin))
    return Scope(addresses.read(prefix, where), pins)


def _list(entries: object) -> Iterable[object]:
    if not isinstance(entries, list | tuple):
        raise SettingsError(f"import map: 'entries' is no list but {entries!r}; a good one is ['js/app.js']")
    return entries


def _entry(value: object) -> File:
    address = addresses.read(value, "import map: entries")
    if isinstance(address, Verbatim) or address.is_folder:
        raise SettingsError(f"import map: entries: {value!r} is no file of a mount; give one such as 'js/app.js'")
    return address


def _integrity(section: object) -> tuple[bool | None, Mapping[str, str]]:
    if section is None or isinstance(section, bool):
        return section, {}
    good = "give True, False, or {'https://esm.sh/x': 'sha384-…'}"
    if not isinstance(section, Mapping):
        raise SettingsError(f"import map: 'integrity' is {section!r}; {good}")
    for url, digest in section.items():
        if not isinstance(url, str) or not addresses.is_url(url) or not is_integrity(digest):
            raise SettingsError(f"import map: integrity[{url!r}] is {digest!r}, which no browser understands; {good}")
    return None, dict(section)
