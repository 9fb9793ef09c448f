"""What is asked for, and in which order, with a client that only remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from assetstore.assets.compression import CODINGS
from assetstore.check import probes
from assetstore.check.client import CdnResponse
from assetstore.check.probes import Expect
from assetstore.check.rules import Item
from assetstore.names.fingerprint import split
from assetstore.names.manifest import Entry

BODY = b"body { color: red; }\n" * 200
CSS = Entry("css/a b.css", "f" * 64, len(BODY), hashlib.sha256(BODY).hexdigest(), "sha384-x", "text/css", None)
NAMED = f"css/a%20b-{'f' * 64}.css"


class Remembers:
    """Answers every request in the same way, and remembers what was asked."""

    base = "https://cdn.example.com/"

    def __init__(self, response: Callable[[str, dict[str, str]], CdnResponse]) -> None:
        self._answer = response
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def get(self, url_path: str, **headers: str) -> CdnResponse:
        self.asked.append((url_path, tuple(headers)))
        return self._answer(url_path, headers)


def good(url_path: str, headers: dict[str, str]) -> CdnResponse:
    found = {"etag": '"1"', "last-modified": "Fri, 02 Jan 2026 00:00:00 GMT", "content-type": "text/css"}
    return CdnResponse(f"https://cdn.example.com/{url_path}", 200, found, len(BODY), CSS.sha256, BODY)


def missing(url_path: str, headers: dict[str, str]) -> CdnResponse:
    return CdnResponse(f"https://cdn.example.com/{url_path}", 404, {})


def test_a_text_file_is_asked_for_compressed_before_it_is_asked_for_plain() -> None:
    client: Any = Remembers(good)
    list(probes.fingerprinted(client, CSS, Expect()))
    assert client.asked == [
        *[(NAMED, ("Accept_Encoding", "Origin"))] * len(CODINGS),
        (NAMED, ("Accept_Encoding", "Origin")),
        (NAMED, ("Accept_Encoding", "If_None_Match")),
        (NAMED, ("Accept_Encoding", "Range")),
    ]


def test_what_is_not_there_is_asked_for_no_further() -> None:
    client: Any = Remembers(missing)
    found = probes.file(client, CSS, Expect())
    assert [each.item for each in found] == [Item.STATUS, Item.STATUS]
    assert len(client.asked) == len(CODINGS) + 2


@pytest.mark.parametrize(
    ("expect", "items"),
    [
        (Expect(public=False), set()),
        (Expect(public=True), {Item.CORS}),
        (Expect(public=True, application=True), {Item.CORS, Item.ISOLATION}),
        (Expect(public=False, application=True), set()),
    ],
)
def test_what_is_expected_depends_on_the_mount_and_the_origin(expect: Expect, items: set[Item]) -> None:
    client: Any = Remembers(good)
    seen = {each.item for each in probes.file(client, CSS, expect)}
    assert seen & {Item.CORS, Item.ISOLATION} == items


def test_a_missing_name_is_spelled_as_a_fingerprinted_one_and_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SECOND_LOOK_SECONDS", 0)
    client: Any = Remembers(missing)
    for _ in range(2):
        assert not probes.missing(client, CSS).fault
    first, second, third, fourth = [path for path, _ in client.asked]
    assert first == second != third == fourth
    logical, fingerprint = split(first)
    assert logical.endswith(".css")
    assert fingerprint is not None


def test_a_url_that_no_cache_has_is_asked_for_with_a_condition_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SECOND_LOOK_SECONDS", 0)
    client: Any = Remembers(good)
    list(probes.configuration(client, CSS))
    (conditional, first), (plain, second) = client.asked[-2:]
    assert conditional == plain
    assert conditional.startswith(f"{NAMED}?assetstore-check=")
    assert ("If_None_Match" in first, "If_None_Match" in second) == (True, False)
