"""Content codings: their names, compression and decompression (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).

Brotli and Zstandard are optional libraries (extra ``compress``; Zstandard is in Python itself from
3.14). A coding whose library is missing is not offered.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

#: Every coding of a variant, the best first, with the suffix of a file that holds it.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: Smaller files are sent as they are: they fit one TCP segment either way.
MIN_SIZE = 1024

#: Default size in bytes of one mount's cache of what was compressed while serving.
BUDGET_BYTES = 32 * 1024 * 1024

# zstd's decompressor has no limit of what it gives: a few bytes may become 128 KB (RFC 8878 section 3.1.1.2).
_ZSTD_INPUT = 256
_OUTPUT = 256 * 1024
#: Larger windows are refused, so that a few bytes cannot reserve gigabytes; zstd's own highest level has 128 MB.
_MAX_WINDOW = 128 * 1024 * 1024
# A variant must be at least this much smaller to be worth its decompression.
_GAIN = 0.95

Compressor = Callable[[bytes, bool], bytes]
#: Gives the plain bytes of coded ones, piece by piece; raises anything at all where they are damaged.
Decompressor = Callable[[Iterable[bytes]], Iterator[bytes]]


def _optional(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


def _gzip(data: bytes, thorough: bool) -> bytes:
    import gzip

    # Without a time in it, so that equal bytes give equal bytes on every machine.
    return gzip.compress(data, 9 if thorough else 6, mtime=0)


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        data = chunk
        while data:
            if member.eof:  # a file may have several members (RFC 1952 section 2.2)
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            plain = member.decompress(data, _OUTPUT)
            yield plain
            while len(plain) == _OUTPUT and not member.unconsumed_tail:
                plain = member.decompress(b"", _OUTPUT)
                yield plain
            data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError("the end is missing")


def _brotli() -> tuple[Compressor, Decompressor] | None:
    brotli = _optional("brotli")
    if brotli is None:
        return None

    def compress_(data: bytes, thorough: bool) -> bytes:
        return bytes(brotli.compress(data, quality=11 if thorough else 5))

    def decompress_(chunks: Iterable[bytes]) -> Iterator[bytes]:
        reader = brotli.Decompressor()
        for chunk in chunks:
            plain = bytes(reader.process(chunk, output_buffer_limit=_OUTPUT))
            yield plain
            while plain and not reader.is_finished():
                plain = bytes(reader.process(b"", output_buffer_limit=_OUTPUT))
                yield plain
        if not reader.is_finished():
            raise EOFError("the end is missing")

    return compress_, decompress_


def _zstd() -> tuple[Compressor, Decompressor] | None:
    # Level 19 keeps the window within the 8 MB that browsers accept (RFC 9659).
    if (builtin := _optional("compression.zstd")) is not None:
        return (
            lambda data, thorough: bytes(builtin.compress(data, level=19 if thorough else 6)),
            lambda chunks: _read_all(builtin.ZstdFile(io.BytesIO(b"".join(chunks)))),
        )
    package = _optional("zstandard")
    if package is None:
        return None

    def compress_(data: bytes, thorough: bool) -> bytes:
        return bytes(package.ZstdCompressor(level=19 if thorough else 6).compress(data))

    def decompress_(chunks: Iterable[bytes]) -> Iterator[bytes]:
        reader = package.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        for chunk in chunks:
            for start in range(0, len(chunk), _ZSTD_INPUT):
                yield reader.decompress(chunk[start : start + _ZSTD_INPUT])
        if not reader.eof or reader.unused_data:
            raise EOFError("not one whole frame")

    return compress_, decompress_


def _read_all(file: io.BufferedIOBase) -> Iterator[bytes]:
    while plain := file.read(_OUTPUT):
        yield plain


def _installed(*modules: str) -> bool:
    """Whether one of *modules* is there; none is imported before it is used (zstandard takes 18 ms)."""
    try:
        return any(find_spec(each) is not None for each in modules)
    except ImportError:  # of the package that it would be in
        return _installed(*modules[1:]) if modules[1:] else False


#: The codings that can be made and read here, the best first.
CODINGS = (
    *(("br",) if _installed("brotli") else ()),
    *(("zstd",) if _installed("compression.zstd", "zstandard") else ()),
    "gzip",
)


@cache
def _library(coding: str) -> tuple[Compressor, Decompressor] | None:
    """How *coding* is made and read; ``None`` where its library is missing, or cannot be imported."""
    if coding == "gzip":
        return _gzip, _gunzip
    if coding == "br":
        return _brotli()
    return _zstd() if coding == "zstd" else None


def compress(data: bytes, coding: str, *, thorough: bool = False) -> bytes | None:
    """*data* in one of :data:`CODINGS`, or ``None`` when that would gain next to nothing.

    *thorough* takes ten to a hundred times as long for a few percent; publishing uses it.
    """
    if (library := _library(coding)) is None:
        return None
    smaller = library[0](data, thorough)
    return smaller if len(smaller) <= _GAIN * len(data) else None


def decompress(data: bytes, coding: str, most: int) -> bytes | None:
    """The plain bytes of *data*; ``None`` if they are more than *most*, damaged, or in no known coding."""
    plain = bytearray()
    return bytes(plain) if _decompress([data], coding, most, plain.extend) else None


def decompressed_sha256(chunks: Iterable[bytes], coding: str, size: int) -> str | None:
    """SHA-256 of the plain bytes of *chunks*; ``None`` if they are not *size*, damaged, or in no known coding."""
    digest, count = hashlib.sha256(), 0

    def take(plain: bytes) -> None:
        nonlocal count
        digest.update(plain)
        count += len(plain)

    return digest.hexdigest() if _decompress(chunks, coding, size, take) and count == size else None


def _decompress(chunks: Iterable[bytes], coding: str, most: int, take: Callable[[bytes], None]) -> bool:
    """Give the plain bytes to *take*, at most *most*; whether that were all, and undamaged."""
    if (library := _library(coding)) is None:
        return False
    left = most
    source = _Source(chunks)
    try:
        for plain in library[1](source):
            left -= len(plain)
            if left < 0:
                return False
            take(plain)
    except Exception:
        if source.failed:
            raise
        return False
    return True


class _Source:
    """*chunks*, whose own errors are kept apart from those of the bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception:
            self.failed = True
            raise
