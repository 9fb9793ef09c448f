"""Which representation a request gets, and that what was opened is kept or closed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import brotli
import pytest

from asgi.tree import STYLE, put
from assetstore import AssetStore
from assetstore.backends.base import WHOLE
from assetstore.http.encodings import Encodings
from assetstore.http.etags import EntityTags
from assetstore.http.lookup import Lookup
from assetstore.http.negotiation import Charsets, Negotiator
from assetstore.http.representation import Representation
from assetstore.http.request import AssetRequest
from assetstore.http.response_headers import MountHeaders
from assetstore.http.revalidation import Snapshot

NOW = 1_700_000_000.0
#: A sibling as a build leaves it: other bytes than are made here.
BY_HAND = brotli.compress(STYLE, quality=1)


def select(root: Path, headers: Mapping[str, str], *, opened: bool = True) -> tuple[Representation, bool]:
    """What is chosen for css/app.css, and whether a file was left for the body."""
    mount = AssetStore().static("/assets/", root=root)
    versions = EntityTags(mount.backend, mount.fingerprinter, mount.resolver)
    variants = Encodings(mount.backend, mount.reader, mount.resolver)
    request = AssetRequest.from_headers("GET", [(name.encode(), value.encode()) for name, value in headers.items()])

    async def once() -> tuple[Representation, bool]:
        snapshot = Snapshot(None)
        found = await Lookup(mount, versions).find("css/app.css", WHOLE if opened else None, snapshot)
        negotiator = Negotiator(MountHeaders(), Charsets(mount), versions, variants)
        selection = await negotiator.select(found, request, snapshot, NOW)
        await selection.aclose()
        return selection.chosen, selection.opened is not None

    return asyncio.run(once())


def test_who_accepts_no_coding_gets_the_file(tree: Path) -> None:
    chosen, opened = select(tree, {})
    assert (chosen.coding, chosen.size, opened) == (None, len(STYLE), True)


def test_who_accepts_one_gets_bytes_from_memory(tree: Path) -> None:
    chosen, opened = select(tree, {"accept-encoding": "gzip"})
    assert chosen.content is not None
    assert (chosen.coding, chosen.size, opened) == ("gzip", sum(map(len, chosen.content)), False)


def test_who_wants_a_part_gets_the_file(tree: Path) -> None:
    chosen, opened = select(tree, {"accept-encoding": "gzip", "range": "bytes=0-1"})
    assert (chosen.coding, opened) == (None, True)


def test_who_wants_a_part_of_another_version_gets_a_coding(tree: Path) -> None:
    chosen, _ = select(tree, {"accept-encoding": "gzip", "range": "bytes=0-1", "if-range": '"other"'})
    assert chosen.coding == "gzip"


def test_a_sibling_is_a_file_of_its_own(tree: Path) -> None:
    put(tree, "css/app.css.br", BY_HAND)
    chosen, opened = select(tree, {"accept-encoding": "br"})
    assert (chosen.coding, chosen.size, chosen.content, opened) == ("br", len(BY_HAND), None, True)
    assert chosen.media_type == "text/css; charset=utf-8"


def test_what_is_only_looked_at_opens_no_sibling(tree: Path) -> None:
    put(tree, "css/app.css.br", BY_HAND)
    looked_at, opened = select(tree, {"accept-encoding": "br"}, opened=False)
    assert not opened
    assert looked_at == select(tree, {"accept-encoding": "br"})[0]


@pytest.mark.parametrize("accepted", ["", "gzip", "br", "identity;q=0"])
def test_all_of_them_vary(tree: Path, accepted: str) -> None:
    assert (b"vary", b"Accept-Encoding") in select(tree, {"accept-encoding": accepted})[0].full


def test_a_sibling_that_is_gone_by_now_leaves_the_plain_bytes(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        return None

    put(tree, "css/app.css.br", BY_HAND)
    monkeypatch.setattr(Encodings, "open_sibling", gone)
    chosen, opened = select(tree, {"accept-encoding": "br"})
    assert (chosen.coding, chosen.size, opened) == (None, len(STYLE), True)
    assert (b"vary", b"Accept-Encoding") in chosen.full
