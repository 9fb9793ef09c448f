"""Which file a URL means, where it is looked for first, and what has to prove itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi.tree import DATA, FINGERPRINT, MODIFIED_NS, put
from assetstore import AssetStore
from assetstore.backends.base import WHOLE, FileStat, Span
from assetstore.backends.local.backend import LocalBackend
from assetstore.errors import AssetNotFound, BackendUnavailable, RangeNotSatisfiable, UnsafePath
from assetstore.http.etags import EntityTags
from assetstore.http.lookup import Found, Lookup
from assetstore.http.revalidation import Snapshot
from assetstore.names import fingerprint

OTHER = "0" * 64
NAME = fingerprint.add("data.bin", FINGERPRINT)
OLD = fingerprint.add("data.bin", OTHER)


class Noting(LocalBackend):
    """A directory that notes what it is asked for, and by whom it is judged a bad range."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: list[str] = []

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
        self.asked.append(f"open {path}")
        if span.start > 1_000_000:
            raise RangeNotSatisfiable("as storage would say", path=path)
        return super().open(path, span, validator=validator)

    def stat(self, path: str) -> FileStat:
        self.asked.append(f"stat {path}")
        return super().stat(path)

    def reader(self) -> Any:
        """Through this object, so that it notes what is read."""
        from assetstore.backends.reader import ThreadReader

        return ThreadReader(self)


Find = Callable[..., Found]


@pytest.fixture
def backend(tree: Path) -> Noting:
    return Noting(tree)


@pytest.fixture
def find(backend: Noting) -> Find:
    def look(file: str, span: Span | None = WHOLE, **options: Any) -> Found:
        mount = AssetStore().static("/assets/", root=backend, **options)
        lookup = Lookup(mount, EntityTags(backend, mount.fingerprinter, mount.resolver))

        async def once() -> Found:
            found = await lookup.find(file, span, Snapshot(None))
            await found.aclose()
            return found

        backend.asked.clear()
        return asyncio.run(once())

    return look


def test_a_plain_path_is_opened_and_nothing_else_is_asked(find: Find, backend: Noting) -> None:
    found = find("data.bin")
    assert (found.stat.size, found.logical, found.verified, found.current) == (len(DATA), "data.bin", False, True)
    assert backend.asked == ["open data.bin"]


def test_without_a_span_it_is_only_looked_at(find: Find, backend: Noting) -> None:
    assert find("data.bin", None).opened is None
    assert backend.asked == ["stat data.bin"]


def test_the_current_fingerprint_leads_to_the_plain_file_at_once(find: Find, backend: Noting) -> None:
    found = find(NAME)
    assert (found.stat.path, found.logical, found.verified) == ("data.bin", "data.bin", True)
    assert [each for each in backend.asked if each.startswith("open")] == ["open data.bin"]


def test_another_fingerprint_is_looked_for_under_its_own_name_too(find: Find, backend: Noting) -> None:
    found = find(OLD)
    assert (found.stat.path, found.verified, found.current) == ("data.bin", False, False)
    assert [each for each in backend.asked if each.startswith("open")] == ["open data.bin", f"open {OLD}"]


def test_a_retained_file_is_found_under_its_name_and_typed_by_its_logical_one(
    find: Find, backend: Noting, tree: Path
) -> None:
    put(tree, OLD, b"old")
    found = find(OLD)
    assert (found.stat.path, found.stat.size, found.logical, found.verified) == (OLD, 3, "data.bin", False)


def test_a_name_that_only_looks_fingerprinted_has_a_fingerprint_of_its_own(find: Find, tree: Path) -> None:
    put(tree, OLD, b"old")
    found = find(fingerprint.add(OLD, FINGERPRINT))
    assert (found.stat.path, found.logical, found.verified) == (OLD, OLD, True)


def test_a_file_that_changed_since_it_was_named_is_not_taken_for_verified(
    find: Find, backend: Noting, tree: Path
) -> None:
    assert find(NAME).verified
    put(tree, "data.bin", b"new", MODIFIED_NS + 1)
    found = find(NAME)
    assert (found.stat.size, found.verified, found.current) == (3, False, False)


def test_a_range_that_storage_refuses_is_only_looked_at(find: Find, backend: Noting) -> None:
    found = find("data.bin", Span(2_000_000))
    assert found.opened is None
    assert found.stat.size == len(DATA)


def test_a_file_that_went_since_it_was_named_is_looked_for_under_its_full_name(
    find: Find, backend: Noting, tree: Path
) -> None:
    mount = AssetStore().static("/assets/", root=backend)
    assert mount.resolver.find("data.bin") is not None  # and this is remembered for a moment
    put(tree, NAME, b"kept")
    (tree / "data.bin").unlink()
    found = asyncio.run(_find_and_close(Lookup(mount, EntityTags(backend, mount.fingerprinter, mount.resolver)), NAME))
    assert (found.stat.path, found.stat.size) == (NAME, 4)


@pytest.mark.parametrize("name", [NAME, OLD])
def test_a_fault_while_a_version_is_told_apart_leaves_nothing_open(backend: Noting, tree: Path, name: str) -> None:
    class Faulty(EntityTags):
        async def is_current(self, stat: FileStat, fingerprint: str) -> bool:
            raise BackendUnavailable("as storage would say")

    closed: list[str] = []
    mount = AssetStore().static("/assets/", root=backend)
    real = mount.reader.open

    async def open_(path: str, span: Span = WHOLE, *, validator: str | None = None) -> Any:
        opened = await real(path, span)
        close = opened.aclose

        async def aclose() -> None:
            closed.append(path)
            await close()

        opened.aclose = aclose
        return opened

    mount.reader.open = open_  # type: ignore[method-assign]
    lookup = Lookup(mount, Faulty(backend, mount.fingerprinter, mount.resolver))
    with pytest.raises(BackendUnavailable):
        asyncio.run(lookup.find(name, WHOLE, Snapshot(None)))
    assert closed == ["data.bin"]


async def _find_and_close(lookup: Lookup, file: str) -> Found:
    found = await lookup.find(file, WHOLE, Snapshot(None))
    await found.aclose()
    return found


@pytest.mark.parametrize("file", ["", "/data.bin", "../data.bin", "a//b", ".env", "a\x00", "a\\b"])
def test_an_unsafe_path_never_reaches_the_backend(find: Find, backend: Noting, file: str) -> None:
    with pytest.raises(UnsafePath):
        find(file)
    assert backend.asked == []


def test_an_extension_that_is_not_allowed_never_reaches_the_backend(find: Find, backend: Noting) -> None:
    for file in ("data.bin", NAME, OLD):
        with pytest.raises(AssetNotFound, match="allowed_ext"):
            find(file, allowed_ext=[".css"])
    assert backend.asked == []


def test_a_missing_file_is_missing_under_any_name(find: Find) -> None:
    for file in ("gone.css", fingerprint.add("gone.css", FINGERPRINT)):
        with pytest.raises(AssetNotFound):
            find(file)
