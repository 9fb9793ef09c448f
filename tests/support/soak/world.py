"""The files of a soak: they change all the time, and every version that each of them ever had is known."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
from pathlib import Path
from typing import Protocol

from servers.s3 import S3Bucket

SMALL_SIZES = (0, 1, 700, 30_000, 262_144, 262_145, 700_000)
LARGE_SIZES = (1_500_000, 3_000_000)
#: How many files there are of each size.
FILES = 3
#: What stands in every file outside of the root.
SECRET = b"OUTSIDE|"
#: What a captive portal answers in the place of an object.
PORTAL = b"<html>please log in</html>"
#: What files that are written in place are made of: the number of the version, over and over.
BLOCK = 8
_BLOCKS = re.compile(rb"(?:\d{7}\|)*")


def size_of(path: str) -> int:
    """The size of a file in bytes, which its name begins with."""
    return int(path.rpartition("/")[2].partition("-")[0])


class World(Protocol):
    """Files that change, and every version of them."""

    #: What clients ask for.
    paths: list[str]

    def change(self) -> None:
        """Change something."""

    def is_version(self, path: str, body: bytes, span: tuple[int, int], *, whole: bool) -> bool:
        """Whether *body* is that span of some version of *path*; the beginning of it, if not *whole*."""

    def is_current(self, path: str, body: bytes) -> bool:
        """Whether *body* is *path* as it is now."""


class Versions:
    """The last versions of files that change as a whole."""

    def __init__(self) -> None:
        self._bodies: dict[str, list[bytes]] = {}

    def add(self, path: str, body: bytes) -> None:
        """Note a version before it can be served."""
        self._bodies[path] = [*self._bodies.get(path, [])[-20:], body]

    def has(self, path: str, body: bytes, span: tuple[int, int], *, whole: bool) -> bool:
        slices = [version[slice(*span)] for version in self._bodies[path]]
        return any(body == each if whole else each.startswith(body) for each in slices)

    def is_last(self, path: str, body: bytes) -> bool:
        return body == self._bodies[path][-1]


class BucketWorld:
    """Objects that are replaced."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._random = random.Random(1)
        self._versions = Versions()
        self.paths = [f"{size}-{number}.bin" for size in (*SMALL_SIZES, *LARGE_SIZES) for number in range(FILES)]
        for path in self.paths:
            self._put(path)

    def change(self) -> None:
        self._put(self._random.choice(self.paths))

    def is_version(self, path: str, body: bytes, span: tuple[int, int], *, whole: bool) -> bool:
        # A portal's page with a validator cannot be told from an object that was replaced by it.
        return body in PORTAL or self._versions.has(path, body, span, whole=whole)

    def is_current(self, path: str, body: bytes) -> bool:
        return self._versions.is_last(path, body)

    def _put(self, path: str) -> None:
        content = self._random.randbytes(size_of(path))
        self._versions.add(path, content)
        digest = hashlib.sha256(content).hexdigest()
        self._bucket.client.put_object(
            Bucket=self._bucket.name, Key=f"media/{path}", Body=content, Metadata={"assetstore-sha256": digest}
        )


class DiskWorld:
    """Files that are replaced, saved in place, cut off and deleted; releases that are switched; and links that lead
    into the root and out of it in turn."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._outside = folder / "outside"
        self._random = random.Random(1)
        self._versions = Versions()
        self._number = 0
        sizes = (*SMALL_SIZES, *LARGE_SIZES)
        self._replaced = [f"{size}-{number}.bin" for size in sizes for number in range(FILES)]
        self._in_place = [f"saved/{size}-{number}.bin" for size in sizes for number in range(2)]
        self._switched = [f"release/{size}-0.bin" for size in sizes]
        self._linked = ["link/30000-0.bin", "link/3000000-0.bin", "folder/30000-0.bin"]
        self.paths = [*self._replaced, *self._in_place, *self._switched, *self._linked]
        for place in (self.root / "saved", self.root / "link", self.root / "inside", self._outside):
            place.mkdir(parents=True)
        for path in self._replaced:
            self._replace(path)
        for path in self._in_place:
            self._save(path)
        for size in (30_000, 3_000_000):
            (self._outside / f"{size}-0.bin").write_bytes(SECRET * (size // BLOCK))
            (self.root / "inside" / f"{size}-0.bin").write_bytes(self._content(size))
        self._switch()
        self._link(inside=True)

    def change(self) -> None:
        kind = self._random.randrange(12)
        if kind < 4:
            self._replace(self._random.choice(self._replaced))
        elif kind < 6:
            self._save(self._random.choice(self._in_place))
        elif kind == 6:
            path = self.root / self._random.choice(self._in_place)
            if path.exists():
                os.truncate(path, self._random.randrange(max(1, path.stat().st_size)))
        elif kind == 7:
            (self.root / self._random.choice(self._in_place)).unlink(missing_ok=True)
        elif kind == 8:
            self._switch()
        else:
            for number in range(10):
                self._link(inside=bool(number % 2))

    def is_version(self, path: str, body: bytes, span: tuple[int, int], *, whole: bool) -> bool:
        if path in self._replaced:
            return self._versions.has(path, body, span, whole=whole)
        into = -span[0] % BLOCK
        blocks = body[into : into + (len(body) - into) // BLOCK * BLOCK]
        return _BLOCKS.fullmatch(blocks) is not None and SECRET not in body

    def is_current(self, path: str, body: bytes) -> bool:
        file = self.root / path
        return body == file.read_bytes() if file.exists() else True

    def _content(self, size: int) -> bytes:
        self._number += 1
        return (b"%07d|" % self._number * (size // BLOCK + 1))[:size]

    def _replace(self, path: str) -> None:
        content = self._random.randbytes(size_of(path))
        self._versions.add(path, content)
        aside = self.root / ".aside"
        aside.write_bytes(content)
        aside.replace(self.root / path)

    def _save(self, path: str) -> None:
        (self.root / path).write_bytes(self._content(size_of(path)))

    def _switch(self) -> None:
        """Point the link ``release`` to a new folder, as a deployment does."""
        self._number += 1
        name = f"release-{self._number}"
        (self.root / name).mkdir()
        for path in self._switched:
            (self.root / name / Path(path).name).write_bytes(self._content(size_of(path)))
        self._point(self.root / "release", name)
        for old in sorted(self.root.glob("release-*"), key=lambda each: int(each.name.partition("-")[2]))[:-3]:
            shutil.rmtree(old)

    def _link(self, *, inside: bool) -> None:
        place = self.root / "inside" if inside else self._outside
        self._point(
            self.root / "link/30000-0.bin", str(place / "30000-0.bin") if not inside else "../inside/30000-0.bin"
        )
        large = "../inside/3000000-0.bin" if inside else str(place / "3000000-0.bin")
        self._point(self.root / "link/3000000-0.bin", large)
        self._point(self.root / "folder", "inside" if inside else str(place))

    def _point(self, link: Path, to: str) -> None:
        aside = self.root / ".link"
        aside.unlink(missing_ok=True)
        aside.symlink_to(to)
        aside.replace(link)
