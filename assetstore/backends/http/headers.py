"""This module owns what the headers of an object mean, by whichever client they came."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping

from assetstore.backends.base import FileStat
from assetstore.backends.objects import FINGERPRINT_KEY, SHA256_KEY, hex64
from assetstore.util.dates import parse_storage_date


def stat_of(path: str, headers: Mapping[str, str]) -> FileStat:
    """The facts of the object that answered with *headers* (lower-case names) to a GET or HEAD."""
    return FileStat(
        path,
        size_of(headers),
        mtime_ns(headers.get("last-modified", "")),
        strong(headers.get("etag", "")),
        sha256=_sha256(headers),
        published_fingerprint=hex64(headers.get(f"x-amz-meta-{FINGERPRINT_KEY}", "")),
        coding=_coding(headers.get("content-encoding", "")),
    )


def size_of(headers: Mapping[str, str]) -> int:
    """The whole object's size: a part's ``Content-Range`` knows it, else ``Content-Length``."""
    whole = headers.get("content-range", "").rpartition("/")[2]
    return int(whole if whole.isdecimal() else headers.get("content-length", "0"))


def strong(etag: str) -> str | None:
    """The opaque tag of a strong ETag header, unquoted; ``None`` for a weak one and for none."""
    return None if etag.startswith("W/") else etag.strip('"') or None


def mtime_ns(value: str) -> int | None:
    """A date of a header or a listing in nanoseconds since the epoch, in whole seconds; ``None`` if it is none.

    Headers have whole seconds only, so a listing's fraction is dropped: one object has one time.
    """
    moment = parse_storage_date(value)
    return None if moment is None else moment - moment % 1_000_000_000


def _sha256(headers: Mapping[str, str]) -> str | None:
    if recorded := hex64(headers.get(f"x-amz-meta-{SHA256_KEY}", "")):
        return recorded
    checksum = headers.get("x-amz-checksum-sha256", "")
    if not checksum:
        return None
    try:
        # A composite checksum (of the parts' checksums) ends in -N and is not of the bytes.
        digest = b64decode(checksum, validate=True)
    except Base64Error:
        return None
    return digest.hex() if len(digest) == 32 else None


def _coding(value: str) -> str | None:
    if not value:
        return None
    # Some servers keep the transfer's own aws-chunked among the codings of the object.
    codings = [each.strip().lower() for each in value.split(",")]
    codings = [each for each in codings if each not in {"", "aws-chunked", "identity"}]
    return ", ".join(codings) or None
