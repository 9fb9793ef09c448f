"""Subresource Integrity (W3C): the digest that browsers check a file against.

It is the SHA-384 of the bytes that are served under a fingerprinted URL, taken from a manifest
where there is one, else computed from the version that the URL names, and cached. Where neither
is possible there is none: absent rather than wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from assetstore.backends.base import Backend, FileStat
from assetstore.names.base import Asset
from assetstore.util.background import DeferredCache

_DIGEST = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/]+={0,2})(\?[\x21-\x7e]*)?")
#: Files above this size are not digested: no browser holds a page up for them.
MAX_BYTES = 64 * 1024 * 1024


def sri(digest: bytes) -> str:
    """An SHA-384 digest as the ``integrity`` attribute spells it."""
    return "sha384-" + base64.b64encode(digest).decode()


def is_integrity(text: object) -> bool:
    """Whether *text* is integrity metadata that a browser understands; several go with blanks between."""
    return isinstance(text, str) and bool(text.split()) and all(map(_is_digest, text.split()))


def _is_digest(text: str) -> bool:
    match = _DIGEST.fullmatch(text)
    if match is None:
        return False
    try:
        digest = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        return False
    return len(digest) * 8 == int(match[1].removeprefix("sha")) and base64.b64encode(digest).decode() == match[2]


@dataclass(frozen=True, slots=True)
class _AssetVersion:
    """One version of one file; equal where the bytes are."""

    stat: FileStat
    fingerprint: str
    backend: Backend

    def __str__(self) -> str:
        return f"{self.stat.path!r} in {self.backend.label}"


class Integrity:
    """The digests of the assets that pages refer to."""

    def __init__(self) -> None:
        self._digests: DeferredCache[_AssetVersion, str] = DeferredCache(_digest)

    def of(self, asset: Asset, backend: Backend) -> str | None:
        """The integrity of the version that *asset*'s fingerprint names; ``None`` if it has none (yet)."""
        if asset.integrity is not None or asset.fingerprint is None or asset.stat is None:
            return asset.integrity if asset.fingerprint is not None else None
        return self._digests.get(_AssetVersion(asset.stat, asset.fingerprint, backend))

    def close(self) -> None:
        """End the thread; the next use starts another."""
        self._digests.close()

    def settle(self) -> None:
        """Wait until every digest that was requested is computed."""
        self._digests.settle()


def _digest(version: _AssetVersion) -> str | None:
    """The digest of exactly that version; ``None`` if it is gone, or stored under a content coding."""
    if version.stat.size > MAX_BYTES:
        return None
    opened = version.backend.open(version.stat.path)
    try:
        if opened.stat.coding is not None or opened.stat.version != version.stat.version:
            return None
        digest = hashlib.sha384()
        for chunk in opened.chunks(0, opened.stat.size):
            digest.update(chunk)
    finally:
        opened.close()
    return sri(digest.digest())
