"""What the tests of publishing share: a mount, targets, and backends that count or fail."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import storages
from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend
from assetstore.mounts.mount import Mount
from assetstore.store import AssetStore

MakeMount = Callable[..., Mount]


@pytest.fixture
def make_mount(asset_tree: Path) -> MakeMount:
    """Mounts the asset tree, with the arguments of ``static``."""

    def make(**arguments: Any) -> Mount:
        return AssetStore({}).static("/assets/", **{"root": asset_tree, "name": "assets", **arguments})

    return make


@pytest.fixture
def mount(make_mount: MakeMount) -> Mount:
    return make_mount()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the target below keeps its files."""
    return tmp_path / "target"


@pytest.fixture
def target(folder: Path) -> WritableBackend:
    """An empty folder as a target."""
    backend = open_backend(folder, must_exist=False)
    assert isinstance(backend, WritableBackend)
    return backend


#: LocalStack and Swift are published to in test_publish_s3.py, test_stores.py and test_publish_clouds.py, and WebDAV in
#: the last: its servers delete what a MOVE replaces first (RFC 4918 section 9.9.3), so a lock that is renewed is missing
#: for a moment, and two publishers at once are not kept apart there.
TARGETS = {
    "local": storages.local,
    "memory": storages.memory,
    "SFTP": storages.sftp,
    "S3": storages.s3_over_a_socket,
    "GCS": storages.gcs,
    "Azure": storages.azure,
}


@pytest.fixture(params=TARGETS)
def any_target(request: pytest.FixtureRequest) -> Iterator[WritableBackend]:
    """An empty target of each kind."""
    with TARGETS[request.param]({}, request) as storage:
        assert isinstance(storage.backend, WritableBackend)
        yield storage.backend


class Watched:
    """A backend that counts what it is asked, and does what the test says before it answers."""

    def __init__(self, inner: WritableBackend) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()
        self.written: list[str] = []
        self.deleted: list[str] = []
        self.before_write: Callable[[str], None] = lambda path: None
        self.before_delete: Callable[[str], None] = lambda path: None

    @property
    def label(self) -> str:
        return self._inner.label

    @property
    def remote(self) -> bool:
        return self._inner.remote

    @property
    def dot_names(self) -> Any:
        return self._inner.dot_names  # type: ignore[attr-defined]

    @dot_names.setter
    def dot_names(self, names: Any) -> None:
        self._inner.dot_names = names  # type: ignore[attr-defined]

    def stat(self, path: str) -> Any:
        self.calls["stat"] += 1
        return self._inner.stat(path)

    def open(self, path: str, *rest: Any, **options: Any) -> Any:
        self.calls["open"] += 1
        return self._inner.open(path, *rest, **options)

    def walk(self) -> Iterator[Any]:
        self.calls["walk"] += 1
        return self._inner.walk()

    def write(self, path: str, source: Any, options: Any) -> Any:
        self.before_write(path)
        self.calls["write"] += 1
        self.written.append(path)
        return self._inner.write(path, source, options)

    def delete(self, path: str) -> None:
        self.before_delete(path)
        self.calls["delete"] += 1
        self.deleted.append(path)
        self._inner.delete(path)


@pytest.fixture
def watched(target: WritableBackend) -> Watched:
    """The empty folder, counted."""
    return Watched(target)


@pytest.fixture
def watch() -> Callable[[WritableBackend], Watched]:
    """Counts any backend."""
    return Watched


@pytest.fixture
def age() -> Callable[[Path, float], None]:
    """Moves a file's modified time, its bytes untouched."""

    def age_(file: Path, seconds: float) -> None:
        facts = file.stat()
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + int(seconds * 1e9)))

    return age_
