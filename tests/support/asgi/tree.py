"""The small tree that HTTP tests serve, with every modified time known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from asgi.client import Reply

#: When the files were modified: 2020-09-13T12:26:40Z, and a part of a second.
MODIFIED = 1_600_000_000
MODIFIED_NS = MODIFIED * 10**9 + 123_456_789
#: The fingerprint of every file in the tree.
FINGERPRINT = hashlib.sha256(str(MODIFIED_NS).encode()).hexdigest()

#: 10,240 bytes, each two of which tell where they stand.
DATA = b"".join(number.to_bytes(2, "big") for number in range(5120))
STYLE = "".join(f".rule-{number} {{ margin: {number}px }}\n" for number in range(200)).encode()

Ask = Callable[..., Reply]


def put(root: Path, path: str, data: bytes, mtime_ns: int = MODIFIED_NS) -> Path:
    """Write a file with a known modified time."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, ns=(mtime_ns, mtime_ns))
    return file


def plant(root: Path) -> Path:
    """Put the tree under *root*."""
    put(root, "data.bin", DATA)
    put(root, "css/app.css", STYLE)
    put(root, "empty.txt", b"")
    put(root, "tiny.css", b"body{}")
    return root
