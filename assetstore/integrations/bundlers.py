"""Tags for what a bundler built: :class:`Bundle` for esbuild and webpack, and below it Vite's.

The files keep the names that the bundler gave them, since its own code refers to them by these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from assetstore.backends.base import read_bytes
from assetstore.errors import AssetNotFound, SettingsError
from assetstore.store import AssetStore
from assetstore.templates.bundles import FORMATS, BundledEntry
from assetstore.templates.html import Markup
from assetstore.util.background import DeferredCache

#: How long a manifest stands before it is read again, in seconds.
MANIFEST_SECONDS = 1.0

Document = Mapping[str, Any]


class Bundle:
    """The output of a bundler in a mount of *assets*.

    Args:
        manifest: the bundler's manifest: a path in the mount as text, a local file as a ``Path``, or the parsed
            document. It is read now, and again when it is older than a second; on an event loop in the background.
        format: ``"vite"``, ``"esbuild"`` (the metafile) or ``"webpack"`` (stats, webpack-assets-manifest).
        mount: the mount that holds the files; the default one unless given.
        folder: what stands before a path in the manifest but not in the mount, such as esbuild's ``"dist"``.

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
    ) -> None:
        if format not in FORMATS:
            raise SettingsError(f"format={format!r} is not known; give one of {', '.join(map(repr, FORMATS))}")
        self._pages = assets.pages
        self._format = FORMATS[format]
        self._mount = assets.mounts.named(assets.mounts.default if mount is None else mount)
        self._folder = folder
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
            return self._format(document, name, self._folder)
        except (AttributeError, LookupError, TypeError) as error:
            raise SettingsError(f"the bundler's manifest is damaged where it tells of {name!r} ({error!r})") from None

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
