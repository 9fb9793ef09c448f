"""This module owns content codings: what they are called, and bytes in, fewer bytes out.

Brotli and Zstandard are optional libraries (extra ``compress``; Zstandard is in Python itself from
3.14). What is not installed is not offered.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

#: Every coding that a variant may have, the best first, with the suffix of a file that holds it.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: Files smaller than this fit one packet either way.
MIN_SIZE = 1024

# A variant must be at least this much smaller to be worth its decompression.
_GAIN = 0.95

Compressor = Callable[[bytes, bool], bytes]


def _optional(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


def _gzip(data: bytes, thorough: bool) -> bytes:
    # No time inside, so that equal bytes give equal bytes on every machine.
    return gzip.compress(data, 9 if thorough else 6, mtime=0)


def _brotli_compressor() -> Compressor | None:
    brotli = _optional("brotli")
    if brotli is None:
        return None

    def compress_(data: bytes, thorough: bool) -> bytes:
        return bytes(brotli.compress(data, quality=11 if thorough else 5))

    return compress_


def _zstd_compressor() -> Compressor | None:
    # Level 19 keeps the window within the 8 MB that browsers accept (RFC 9659).
    if (builtin := _optional("compression.zstd")) is not None:
        return lambda data, thorough: bytes(builtin.compress(data, level=19 if thorough else 6))
    if (package := _optional("zstandard")) is not None:
        return lambda data, thorough: bytes(package.ZstdCompressor(level=19 if thorough else 6).compress(data))
    return None


_FOUND = {"br": _brotli_compressor(), "zstd": _zstd_compressor(), "gzip": _gzip}
_COMPRESSORS = {coding: compressor for coding, compressor in _FOUND.items() if compressor is not None}

#: The codings this machine can make, the best first.
CODINGS = tuple(_COMPRESSORS)


def compress(data: bytes, coding: str, *, thorough: bool = False) -> bytes | None:
    """*data* in one of :data:`CODINGS`, or ``None`` when that would gain next to nothing.

    *thorough* takes ten to a hundred times as long for a few percent: right when publishing.
    """
    smaller = _COMPRESSORS[coding](data, thorough)
    return smaller if len(smaller) <= _GAIN * len(data) else None
