"""This module owns the bytes of an asset in each content coding, and remembering which came out smaller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from assetstore import compress
from assetstore.backends.base import Backend, OpenFile, read_bytes
from assetstore.backends.held import HeldFile
from assetstore.manifest import Entry, StoredObject
from assetstore.publish.recipe import Recipe, Rendition


def smaller_renditions(backend: Backend, entry: Entry, known: Entry | None, recipe: Recipe) -> Mapping[str, Rendition]:
    """The codings in which *entry* is smaller than its own bytes.

    What the live release's manifest knows of the same bytes is taken from there, so that an
    unchanged asset is never encoded again.
    """
    codings = recipe.codings_for(entry.path, entry.size)
    found = _remembered(entry, known)
    if not all(coding in found for coding in codings):
        data = read_bytes(backend, entry.path)
        tried = {coding: compress.compress(data, coding, thorough=True) for coding in codings}
        found = {coding: _rendition(smaller) for coding, smaller in tried.items() if smaller is not None}
    return {coding: found[coding] for coding in codings if coding in found}


def open_stored(backend: Backend, entry: Entry, stored: StoredObject) -> OpenFile:
    """The bytes that are stored as *stored*, opened."""
    if stored.coding is None:
        return backend.open(entry.path)
    data = read_bytes(backend, entry.path)
    return HeldFile.of(stored.path, compress.compress(data, stored.coding, thorough=True) or data)


def _remembered(entry: Entry, known: Entry | None) -> dict[str, Rendition]:
    if known is None or known.sha256 != entry.sha256:
        return {}
    return {each.coding: Rendition(each.size, each.sha256) for each in known.stored if each.coding is not None}


def _rendition(data: bytes) -> Rendition:
    return Rendition(len(data), hashlib.sha256(data).hexdigest())
