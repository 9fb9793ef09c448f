"""The kinds of work that a server is measured at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks import tree


class Names(Protocol):
    """The part of a store that a work needs."""

    def url_for(self, name: str, *, file: str) -> str:
        """The URL of a file."""


@dataclass(frozen=True, slots=True)
class Work:
    """One request that is made over and over."""

    name: str
    file: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Whether the request carries the ETag that the answer before it had.
    revalidates: bool = False
    #: Whether each of the many files is asked for in turn.
    rotates: bool = False

    def url(self, assets: Names) -> str:
        """What assetstore is asked for: the fingerprinted URL, where there is such a file."""
        return self.plain_url if self.status == 404 else assets.url_for("assets", file=self.file)

    @property
    def plain_url(self) -> str:
        """What the peers are asked for."""
        return f"/assets/{self.file}"


def bare_path(work: Work, url: str) -> str:
    """Where the bare callable does *work*: a path as long as *url*."""
    return f"/bare/{work.name}/".ljust(len(url), "x")


def _accepting(coding: str, name: str, file: str) -> Work:
    return Work(name, file, headers={"Accept-Encoding": coding})


WORKS = {
    work.name: work
    for work in (
        Work("small", "css/small.css"),
        Work("script", "js/script.js"),
        Work("photo", "images/photo.jpg"),
        Work("film", "video/film.mp4"),
        Work("unchanged", "css/small.css", 304, revalidates=True),
        Work("missing", tree.MISSING, 404),
        Work("range", "video/film.mp4", 206, {"Range": "bytes=0-1023"}),
        Work("many", tree.many(0), rotates=True),
        Work("cold", tree.many(0), rotates=True),
        *(_accepting(coding, f"coded-{coding}", tree.CODED) for coding in tree.CODINGS),
        *(_accepting(coding, f"same-as-{coding}", tree.same_size(coding)) for coding in tree.CODINGS),
    )
}
