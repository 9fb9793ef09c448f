"""Two readers side by side: style sheets by the one, every other file by the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assetstore.backends.base import WHOLE, BytesFile, FileStat, OpenFile, Span
from assetstore.backends.local.backend import LocalBackend
from assetstore.backends.reader import NO_FILE, SignatureReader
from assetstore.errors import AssetNotFound
from assetstore.rewrite.backend import RewrittenReader

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Held:
    """A backend in memory without a reader of its own, and with nothing that marks a file."""

    label, remote = "held://", True

    def __init__(self, **files: bytes) -> None:
        self.files = {name.replace("_", "."): content for name, content in files.items()}
        self.closed = False

    def stat(self, path: str) -> FileStat:
        if path not in self.files:
            raise AssetNotFound(path)
        return FileStat(path, len(self.files[path]))

    def open(self, path: str, span: Span = WHOLE, *, validator: str | None = None) -> OpenFile:
        return BytesFile(self.stat(path), self.files[path])

    def close(self) -> None:
        self.closed = True


def is_sheet(path: str) -> bool:
    return path.endswith(".css")


@pytest.fixture
def outer() -> Held:
    return Held(app_css=b"rewritten", app_js=b"not from here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app.css").write_bytes(b"as written")
    (tmp_path / "app.js").write_bytes(b"code")
    return tmp_path


@pytest.fixture
def reader(root: Path, outer: Held) -> RewrittenReader:
    return RewrittenReader(LocalBackend(root), outer, is_sheet)  # type: ignore[arg-type]


@pytest.mark.parametrize(("path", "content"), [("app.css", b"rewritten"), ("app.js", b"code")])
async def test_each_file_comes_from_where_it_belongs(reader: RewrittenReader, path: str, content: bytes) -> None:
    assert (await reader.stat(path)).size == len(content)
    opened = await reader.open(path)
    assert b"".join([chunk async for chunk in opened.chunks(0, len(content))]) == content
    await opened.aclose()
    await reader.aclose()


@pytest.mark.parametrize("path", ["gone.css", "gone.js"])
async def test_what_is_missing_is_missing(reader: RewrittenReader, path: str) -> None:
    with pytest.raises(AssetNotFound):
        await reader.stat(path)
    await reader.aclose()


async def test_a_file_of_this_machine_is_marked_and_a_style_sheet_is_not(reader: RewrittenReader, root: Path) -> None:
    assert isinstance(reader, SignatureReader)
    signature = reader.signature("app.js")
    assert signature is not None
    assert reader.signature("app.css") is None
    assert reader.signature_hash("app.js") == hash(signature)
    (root / "app.js").write_bytes(b"new code")
    assert reader.signature("app.js") != signature
    await reader.aclose()


async def test_over_storage_that_marks_nothing_nothing_is_marked(outer: Held, reader: RewrittenReader) -> None:
    signature = reader.signature("app.js")
    assert signature is not None
    far: Any = RewrittenReader(Held(app_js=b"code"), outer, is_sheet)  # type: ignore[arg-type]
    assert far.signature("app.js") is None
    assert far.signature_hash("app.js") == hash(NO_FILE)
    await reader.aclose()


async def test_closing_closes_both(outer: Held) -> None:
    inner = Held()
    await RewrittenReader(inner, outer, is_sheet).aclose()  # type: ignore[arg-type]
    assert (inner.closed, outer.closed) == (True, True)
