"""What a bundler's own manifest says of an entry: Vite's manifest, esbuild's metafile, webpack's stats."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from assetstore.assets.paths import is_clean
from assetstore.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BundledEntry:
    """The files that a page needs for one entry, by their paths in the mount, each in the order of its tags."""

    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    #: Modules that the scripts import before they run.
    preloads: tuple[str, ...] = ()
    #: Whether the scripts are modules.
    module: bool = True


#: Finds an entry by its name in a bundler's document; *folder* is what stands before paths in it but not in the mount.
Format = Callable[[Mapping[str, Any], str, str], BundledEntry]


def vite(document: Mapping[str, Any], name: str, folder: str = "") -> BundledEntry:
    """An entry of ``.vite/manifest.json`` by its source, such as ``src/main.ts``.

    Raises:
        SettingsError: there is none; the message names close ones.
    """
    first = _named(document, name, "Vite's manifest")
    chunks, styles = [first], list(first.get("css", ()))
    seen = {name}
    for chunk in chunks:  # grows while it is walked
        for other in chunk.get("imports", ()):
            if other in document and other not in seen:
                seen.add(other)
                chunks.append(document[other])
                styles = [*document[other].get("css", ()), *styles]
    files = [_inside(chunk["file"], folder) for chunk in chunks]
    styles = list(dict.fromkeys(_inside(each, folder) for each in styles))
    if files[0].endswith(".css"):
        return BundledEntry(styles=(*styles, files[0]))
    return BundledEntry((files[0],), tuple(styles), tuple(files[1:]))


def esbuild(document: Mapping[str, Any], name: str, folder: str = "") -> BundledEntry:
    """An entry of esbuild's metafile by its entry point, such as ``src/main.ts``; raises as :func:`vite`."""
    outputs: Mapping[str, Any] = document.get("outputs") or {}
    by_entry = {output["entryPoint"]: path for path, output in outputs.items() if "entryPoint" in output}
    first = _named(by_entry, name, "esbuild's metafile")
    if first.endswith(".css"):
        return BundledEntry(styles=(_inside(first, folder),))
    paths = [first]
    for path in paths:  # grows while it is walked
        for each in outputs[path].get("imports", ()):
            eager = each.get("kind") == "import-statement" and not each.get("external")
            if eager and each["path"] in outputs and each["path"] not in paths:
                paths.append(each["path"])
    styles = [outputs[first]["cssBundle"]] if "cssBundle" in outputs[first] else []
    files = [_inside(each, folder) for each in paths]
    return BundledEntry((files[0],), tuple(_inside(each, folder) for each in styles), tuple(files[1:]))


def webpack(document: Mapping[str, Any], name: str, folder: str = "") -> BundledEntry:
    """An entry of webpack's or Rspack's stats, or of webpack-assets-manifest with ``entrypoints``, by its name.

    Raises:
        SettingsError: as :func:`vite`.
    """
    assets = _named(document.get("entrypoints") or {}, name, "webpack's stats").get("assets", ())
    if isinstance(assets, Mapping):
        assets = [each for group in assets.values() for each in group]
    files = [_inside(each["name"] if isinstance(each, Mapping) else each, folder) for each in assets]
    scripts = tuple(each for each in files if each.endswith((".js", ".mjs")) and ".hot-update." not in each)
    module = bool((document.get("outputOptions") or {}).get("module")) or any(each.endswith(".mjs") for each in scripts)
    return BundledEntry(scripts, tuple(each for each in files if each.endswith(".css")), module=module)


FORMATS: dict[str, Format] = {"vite": vite, "esbuild": esbuild, "webpack": webpack}


def _named(entries: Mapping[str, Any], name: str, where: str) -> Any:
    if name in entries:
        return entries[name]
    close = get_close_matches(name, entries) or sorted(entries)[:3]
    hint = f"; it has {', '.join(map(repr, close))}" if close else ""
    raise SettingsError(f"{name!r} is no entry in {where}{hint}")


def _inside(path: str, folder: str) -> str:
    """A path of the document as one of the mount."""
    path = posixpath.normpath(path.lstrip("/"))
    folder = folder.strip("/")
    path = path.removeprefix(f"{folder}/") if folder else path
    if not is_clean(path):
        raise SettingsError(f"{path!r} in the bundler's manifest is no path of an asset")
    return path
