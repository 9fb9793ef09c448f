"""Bundlers: tags for what esbuild and webpack built (:class:`Bundle`), and for Vite (:class:`Vite`).

Vite's come from its manifest in production, from its dev server while you develop.

``vite = Vite(assets)``, and in a page ``vite.tags("src/main.ts", request=request)``; in templates of
Jinja2, after ``vite.install(templates)``, ``{{ vite_tags("src/main.ts") }}``.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from assetstore.assets.paths import is_clean
from assetstore.backends.base import read_bytes
from assetstore.errors import AssetNotFound, SettingsError
from assetstore.store import AssetStore
from assetstore.templates import html
from assetstore.templates.html import Markup
from assetstore.templates.page import BundledEntry
from assetstore.util.background import DeferredCache

#: How long a manifest stands before it is read again, in seconds.
MANIFEST_SECONDS = 1.0

Document = Mapping[str, Any]


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
    modules = {
        _inside(each["name"], folder)
        for each in document.get("assets") or ()
        if isinstance(each, Mapping) and (each.get("info") or {}).get("javascriptModule")
    }
    module = any(each in modules or each.endswith(".mjs") for each in scripts)
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


class Bundle:
    """The output of a bundler in a mount of *assets*.

    Args:
        manifest: the bundler's manifest: a path in the mount as text, a local file as a ``Path``, or the parsed
            document. It is read now, and again when it is older than a second; on an event loop in the background.
        format: ``"vite"``, ``"esbuild"`` (the metafile) or ``"webpack"`` (stats, webpack-assets-manifest).
        mount: the mount that holds the files; the default one unless given.
        folder: what stands before a path in the manifest but not in the mount, such as esbuild's ``"dist"``.
        module: whether the scripts are modules; default as the manifest says. webpack-assets-manifest does not say it.

    Raises:
        SettingsError: there is no such manifest, or it is no JSON object.
        MountNotFound: *mount* is none.
    """

    def __init__(
        self,
        assets: AssetStore,
        manifest: str | PathLike[str] | Document,
        *,
        format: Literal["vite", "esbuild", "webpack"],
        mount: str | None = None,
        folder: str = "",
        module: bool | None = None,
    ) -> None:
        if format not in FORMATS:
            raise SettingsError(f"format={format!r} is not known; give one of {', '.join(map(repr, FORMATS))}")
        self._pages = assets.pages
        self._format = FORMATS[format]
        self._mount = assets.mounts.named(assets.mounts.default if mount is None else mount)
        self._folder = folder
        self._module = module
        self._manifest = manifest
        self._documents: DeferredCache[str, Document] = DeferredCache(
            self._read_again, seconds=MANIFEST_SECONDS, name="assetstore-bundle"
        )
        self._document = self._read()
        self._documents.put("", self._document)

    def entry(self, name: str) -> BundledEntry:
        """The files of the entry *name*.

        Raises:
            SettingsError: the manifest has no such entry; the message names close ones.
        """
        document = self._documents.get("") or self._document
        try:
            entry = self._format(document, name, self._folder)
        except (AttributeError, LookupError, TypeError) as error:
            raise SettingsError(f"the bundler's manifest is damaged in its entry {name!r} ({error!r})") from None
        return entry if self._module is None else replace(entry, module=self._module)

    def tags(
        self,
        *names: str,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        request: object | None = None,
    ) -> Markup:
        """The tags for entries: style sheets, then modules to preload, then scripts; each file once.

        Raises:
            SettingsError: the manifest has no such entry.
        """
        entries = [self.entry(name) for name in names]
        return self._pages.bundle_tags(self._mount, entries, nonce=nonce, integrity=integrity, request=request)

    def _read_again(self, _: str) -> Document | None:
        try:
            self._document = self._read()
        except SettingsError:  # between two builds there may be none
            return None
        return self._document

    def _read(self) -> Document:
        if isinstance(self._manifest, Mapping):
            return self._manifest
        try:
            inside = isinstance(self._manifest, str)
            data = read_bytes(self._mount.backend, self._manifest) if inside else Path(self._manifest).read_bytes()  # type: ignore[arg-type]
        except (AssetNotFound, OSError) as error:
            raise SettingsError(
                f"the bundler's manifest {str(self._manifest)!r} cannot be read ({error}); build first, or give manifest="
            ) from None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"the bundler's manifest {str(self._manifest)!r} is no JSON ({error})") from None
        if not isinstance(found, dict):
            raise SettingsError(f"the bundler's manifest {str(self._manifest)!r} is no JSON object")
        return found


#: The manifest that ``build.manifest: true`` writes.
MANIFEST = ".vite/manifest.json"
_STYLES = (".css", ".less", ".sass", ".scss", ".styl", ".stylus", ".pcss", ".postcss")
#: What @vitejs/plugin-react needs in a page that it does not serve itself (vite.dev, "Backend Integration").
_REACT = (
    "import RefreshRuntime from '{url}/@react-refresh'\n"
    "RefreshRuntime.injectIntoGlobalHook(window)\n"
    "window.$RefreshReg$ = () => {{}}\n"
    "window.$RefreshSig$ = () => (type) => type\n"
    "window.__vite_plugin_react_preamble_installed__ = true"
)


class Vite:
    """What Vite built into a mount of *assets*; or its dev server, if that is set.

    Args:
        manifest: as :class:`~assetstore.integrations.vite.Bundle` has it; ``.vite/manifest.json`` in the mount
            unless given. A folder whose name begins with a dot is not published: for a bucket, let Vite write
            another (``build.manifest: "manifest.json"``) and name it here.
        mount: the mount that holds ``build.outDir``; the default one unless given.
        dev_url: the dev server, such as ``http://localhost:5173``; the environment's ``VITE_DEV_URL`` unless given,
            ``""`` for none. The manifest is not read then.
        react: whether pages need the preamble of ``@vitejs/plugin-react`` with the dev server.

    Raises:
        SettingsError: *dev_url* is no URL, or there is no manifest.
    """

    def __init__(
        self,
        assets: AssetStore,
        manifest: str | PathLike[str] | Document = MANIFEST,
        *,
        mount: str | None = None,
        dev_url: str | None = None,
        react: bool = False,
    ) -> None:
        self._dev_url = _dev_url(os.environ.get("VITE_DEV_URL", "") if dev_url is None else dev_url)
        self._react = react
        self._bundle = None if self._dev_url else Bundle(assets, manifest, format="vite", mount=mount)

    def tags(
        self,
        *entries: str,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        request: object | None = None,
    ) -> Markup:
        """The tags for *entries*, such as ``src/main.ts``; with the dev server, those of its HMR client too.

        Raises:
            SettingsError: the manifest has no such entry; the message names close ones.
        """
        if self._bundle is not None:
            return self._bundle.tags(*entries, nonce=nonce, integrity=integrity, request=request)
        tags = []
        if self._react:
            preamble = Markup(_REACT.format(url=self._dev_url))
            tags.append(html.script({"type": "module", "nonce": nonce}, preamble))
        for file in ("@vite/client", *entries):
            url = f"{self._dev_url}/{file}"
            if file.endswith(_STYLES):
                tags.append(html.link({"rel": "stylesheet", "href": url, "nonce": nonce}))
            else:
                tags.append(html.script({"type": "module", "src": url, "nonce": nonce}))
        return html.lines(tags)

    def install(self, templates: Any, *, nonce: Callable[[Any], str | None] | None = None) -> None:
        """Give templates of Jinja2 the global ``vite_tags("src/main.ts")``.

        Args:
            templates: an environment, or a ``Jinja2Templates``.
            nonce: as :func:`assetstore.integrations.jinja.install` has it.
        """
        from jinja2 import Environment, pass_context

        @pass_context
        def vite_tags(context: Any, *entries: str, **given: Any) -> Markup:
            given.setdefault("nonce", nonce(context) if nonce else None)
            return self.tags(*entries, request=context.get("request"), **given)

        env = templates if isinstance(templates, Environment) else templates.env
        env.globals["vite_tags"] = vite_tags


def _dev_url(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good or not url.isascii() or any(each in url for each in " '\"<>\\`{}"):
        raise SettingsError(f"dev_url={url!r} is no URL of a server; a good one is 'http://localhost:5173'")
    return url.rstrip("/")
