"""How a version of a file is cut into blocks.

Blocks are what is fetched, shared and kept: block *n* is the bytes ``n * BLOCK_BYTES`` to
``(n + 1) * BLOCK_BYTES`` of one version.
"""

from __future__ import annotations

from assetstore.backends.base import Span

#: A thousand slow clients that each hold one cost 256 MB; a request to storage (10 to 50 ms) still
#: brings enough bytes for its cost.
BLOCK_BYTES = 256 * 1024


def block_at(position: int) -> int:
    """The number of the block that holds the byte at *position*."""
    return position // BLOCK_BYTES


def bounds(block: int, size: int) -> tuple[int, int]:
    """The bytes ``start`` to ``stop`` (half-open) of *block* in a file of *size* bytes."""
    return block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, size)


def widen(span: Span) -> Span:
    """*span* grown to whole blocks, as far as that can be said without knowing the file's size."""
    if span.start < 0:  # some block begins within so many bytes before it
        return Span(span.start - BLOCK_BYTES + 1, None)
    start = span.start - span.start % BLOCK_BYTES
    if span.stop is None or span.stop < 0:
        return Span(start, None)
    return Span(start, -(-span.stop // BLOCK_BYTES) * BLOCK_BYTES)


def first_block(span: Span, size: int) -> int | None:
    """The block that is read first for *span*; ``None`` where there is nothing to read."""
    start, stop = span.within(size)
    return block_at(start) if start < stop else None
