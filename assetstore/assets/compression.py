"""Content codings: their names, compression and decompression (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).

Brotli and Zstandard are optional libraries (extra ``compress``; Zstandard is in Python itself from
3.14). A coding whose library is missing is not offered.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

#: Every coding of a variant, the best first, with the suffix of a file that holds it.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: Smaller files are sent as they are: they fit one TCP segment either way.
MIN_SIZE = 1024

#: Default size in bytes of one mount's cache of what was compressed while serving.
BUDGET_BYTES = 32 * 1024 * 1024

_PIECE = 256
# A variant must be at least this much smaller to be worth its decompression.
_GAIN = 0.95

Compressor = Callable[[bytes, bool], bytes]
#: Gets coded bytes, and after how many plain ones to stop.
Decompressor = Callable[[bytes, int], bytes]


def _optional(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


def _gzip(data: bytes, thorough: bool) -> bytes:
    # Without a time in it, so that equal bytes give equal bytes on every machine.
    return gzip.compress(data, 9 if thorough else 6, mtime=0)


def _gunzip(data: bytes, most: int) -> bytes:
    # GzipFile reads all members of a file, zlib only the first (RFC 1952 section 2.2).
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as reader:
        return reader.read(most)


def _brotli() -> tuple[Compressor, Decompressor] | None:
    brotli = _optional("brotli")
    if brotli is None:
        return None

    def compress_(data: bytes, thorough: bool) -> bytes:
        return bytes(brotli.compress(data, quality=11 if thorough else 5))

    def decompress_(data: bytes, most: int) -> bytes:
        reader = brotli.Decompressor()
        plain = bytearray(reader.process(data, output_buffer_limit=most))
        while not reader.is_finished() and len(plain) < most:
            more = reader.process(b"", output_buffer_limit=most - len(plain))
            if not more:
                raise EOFError("the end is missing")
            plain += more
        return bytes(plain)

    return compress_, decompress_


def _zstd() -> tuple[Compressor, Decompressor] | None:
    # Level 19 keeps the window within the 8 MB that browsers accept (RFC 9659).
    if (builtin := _optional("compression.zstd")) is not None:
        return (
            lambda data, thorough: bytes(builtin.compress(data, level=19 if thorough else 6)),
            lambda data, most: bytes(builtin.ZstdFile(io.BytesIO(data)).read(most)),
        )
    package = _optional("zstandard")
    if package is None:
        return None

    def compress_(data: bytes, thorough: bool) -> bytes:
        return bytes(package.ZstdCompressor(level=19 if thorough else 6).compress(data))

    def decompress_(data: bytes, most: int) -> bytes:
        reader = package.ZstdDecompressor().decompressobj()
        plain = bytearray()
        # In pieces, since this decompressor has no output limit: a few bytes can become 128 KB (RFC 8878 section 3.1.1.2).
        for start in range(0, len(data), _PIECE):
            plain += reader.decompress(data[start : start + _PIECE])
            if len(plain) >= most:
                return bytes(plain[:most])
        if not reader.eof or reader.unused_data:
            raise EOFError("not one whole frame")
        return bytes(plain)

    return compress_, decompress_


_FOUND = {"br": _brotli(), "zstd": _zstd(), "gzip": (_gzip, _gunzip)}
_LIBRARIES = {coding: pair for coding, pair in _FOUND.items() if pair is not None}

#: The codings that can be made and read here, the best first.
CODINGS = tuple(_LIBRARIES)


def compress(data: bytes, coding: str, *, thorough: bool = False) -> bytes | None:
    """*data* in one of :data:`CODINGS`, or ``None`` when that would gain next to nothing.

    *thorough* takes ten to a hundred times as long for a few percent; publishing uses it.
    """
    smaller = _LIBRARIES[coding][0](data, thorough)
    return smaller if len(smaller) <= _GAIN * len(data) else None


def decompress(data: bytes, coding: str, most: int) -> bytes | None:
    """The plain bytes of *data*; ``None`` if they are more than *most*, damaged, or in no known coding."""
    if coding not in _LIBRARIES:
        return None
    try:
        plain = _LIBRARIES[coding][1](data, most + 1)
    except Exception:
        return None
    return plain if len(plain) <= most else None
