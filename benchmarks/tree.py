"""The files that are served while measuring."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

#: The asset that is not there.
MISSING = "css/missing.css"
#: What each of the many tiny assets holds that only their number is about.
WIDE = b"a { color: red }\n"
#: How many small assets stand in rotation.
MANY = 10_000

_KILO, _MEGA = 1 << 10, 1 << 20
#: Path and size in bytes.
FILES = {
    "css/small.css": 2 * _KILO,
    "js/script.js": 30 * _KILO,
    "images/photo.jpg": 200 * _KILO,
    "video/film.mp4": 5 * _MEGA,
}
#: The script that is stored in several codings, and the suffix of each.
CODED = "js/coded.js"
CODINGS = {"gzip": ".gz", "br": ".br", "zstd": ".zst"}


def same_size(coding: str) -> str:
    """The path of a script that is, uncoded, as large as :data:`CODED` is in *coding*."""
    return f"js/same-as-{coding}.js"


def many(number: int) -> str:
    """The path of one of the :data:`MANY` assets."""
    return f"many/{number % 100:02}/{number:05}.css"


def make(root: Path) -> None:
    """Write the tree; the same bytes and times every time."""
    noise = random.Random(7)
    for path, size in FILES.items():
        _write(root / path, noise.randbytes(size))
    script = " ".join(f"call({noise.randrange(10**9)});" for _ in range(2_000)).encode()[: 30 * _KILO]
    _write(root / CODED, script)
    for coding, suffix in CODINGS.items():
        coded = _compress(coding, script)
        _write(root / (CODED + suffix), coded)
        _write(root / same_size(coding), noise.randbytes(len(coded)))
    for number in range(MANY):
        _write(root / many(number), f"/* {number:05} */".encode().ljust(2 * _KILO, b"."))
    _give_times(root)


def make_wide(root: Path, count: int) -> None:
    """Write *count* tiny assets, for what start-up costs."""
    for number in range(count):
        _write(root / f"{number % 1000:03}" / f"{number:06}.css", WIDE)
    _give_times(root)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _compress(coding: str, content: bytes) -> bytes:
    if coding == "gzip":
        return gzip.compress(content, 9, mtime=0)
    if coding == "br":
        import brotli

        return bytes(brotli.compress(content))
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(content)


def _give_times(root: Path) -> None:
    for number, file in enumerate(sorted(root.rglob("*"))):
        if file.is_file():
            # With a part below the second, as editors, compilers and git leave it.
            time_ns = (1_700_000_000 + number) * 10**9 + 123_456_789
            os.utime(file, ns=(time_ns, time_ns))
