"""Which objects an asset becomes, and with which headers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assetstore.assets.cache_policy import HeaderRules
from assetstore.errors import SettingsError
from assetstore.names.manifest import Entry
from assetstore.publish.layout import LARGEST_ENCODED_BYTES, Layout, Rendition, Stage

F = "f" * 64
CSS = Entry("css/app.css", F, 5000, "0" * 64, "sha384-x", "text/css; charset=utf-8", None)
NAMED = f"css/app-{F}.css"
SMALLER = {"br": Rendition(10, "1" * 64), "gzip": Rendition(20, "2" * 64)}


def objects(layout: Layout, entry: Entry = CSS, **renditions: Rendition) -> list[tuple[Stage, str, str | None]]:
    done = layout.complete(entry, renditions)
    return [
        (Stage.FINGERPRINTED if done.immutable(each) else Stage.PLAIN, each.path, each.coding) for each in done.stored
    ]


def test_an_asset_has_a_fingerprinted_and_a_plain_name() -> None:
    assert objects(Layout()) == [(Stage.FINGERPRINTED, NAMED, None), (Stage.PLAIN, "css/app.css", None)]


def test_an_asset_without_a_fingerprint_has_its_plain_name() -> None:
    assert objects(Layout(), replace(CSS, fingerprint=None)) == [(Stage.PLAIN, "css/app.css", None)]


def test_siblings_stand_beside_each_name() -> None:
    assert objects(Layout(siblings=("br", "gzip")), **SMALLER) == [
        (Stage.FINGERPRINTED, NAMED, None),
        (Stage.FINGERPRINTED, f"{NAMED}.br", "br"),
        (Stage.FINGERPRINTED, f"{NAMED}.gz", "gzip"),
        (Stage.PLAIN, "css/app.css", None),
        (Stage.PLAIN, "css/app.css.br", "br"),
        (Stage.PLAIN, "css/app.css.gz", "gzip"),
    ]


def test_one_coding_takes_the_place_of_the_plain_bytes() -> None:
    assert objects(Layout(coding="br"), br=SMALLER["br"]) == [
        (Stage.FINGERPRINTED, NAMED, "br"),
        (Stage.PLAIN, "css/app.css", "br"),
    ]
    assert objects(Layout(coding="br"))[0] == (Stage.FINGERPRINTED, NAMED, None)


@pytest.mark.parametrize(
    ("layout", "stage", "policy"),
    [
        (Layout(), Stage.FINGERPRINTED, "max-age=31536000, public, immutable"),
        (Layout(), Stage.PLAIN, "max-age=0, public, must-revalidate"),
        (Layout(shared="s-maxage=60"), Stage.PLAIN, "max-age=0, public, s-maxage=60, must-revalidate"),
        (Layout(shared="s-maxage=60"), Stage.FINGERPRINTED, "max-age=31536000, public, immutable"),
        (Layout(public=False), Stage.PLAIN, "max-age=0, private, must-revalidate"),
    ],
)
def test_the_cache_policy_is_that_of_serving(layout: Layout, stage: Stage, policy: str) -> None:
    done = layout.complete(CSS, {})
    assert layout.write_options(done, done.stored[stage - 1]).cache_control == policy


def test_rules_by_pattern_and_digests_are_stored_too() -> None:
    layout = Layout(rules=HeaderRules({"css/*": {"Content-Disposition": "inline"}}))
    done = layout.complete(CSS, {})
    headers = layout.write_options(done, done.stored[0])
    assert headers.extra == {"Content-Disposition": "inline"}
    assert headers.metadata == {"assetstore-sha256": "0" * 64, "assetstore-fingerprint": F}
    assert headers.content_type == "text/css; charset=utf-8"


def test_the_digest_of_the_headers_follows_every_one_of_them() -> None:
    layouts = [
        Layout(),
        Layout(public=False),
        Layout(coding="br"),
        Layout(rules=HeaderRules({"css/*": {"Content-Disposition": "inline"}})),
    ]
    done = [layout.complete(CSS, SMALLER if layout.coding else {}) for layout in layouts]
    done.append(Layout().complete(replace(CSS, content_type="text/plain"), {}))
    digests = [each.stored[0].headers for each in done]
    assert len(set(digests)) == 5
    assert done[0].stored[0].headers != done[0].stored[1].headers
    assert Layout().still_holds(done[0])
    assert not Layout(public=False).still_holds(done[0])


@pytest.mark.parametrize(
    ("path", "size", "codings"),
    [
        ("a.css", 5000, ("br", "gzip")),
        ("a.css", 10, ()),
        ("a.css", LARGEST_ENCODED_BYTES + 1, ()),
        ("a.png", 5000, ()),
        ("a.woff2", 5000, ()),
    ],
)
def test_only_text_of_a_middling_size_is_encoded(path: str, size: int, codings: tuple[str, ...]) -> None:
    assert Layout(siblings=("br", "gzip")).codings_for(path, size) == codings


@pytest.mark.parametrize(
    ("siblings", "coding", "says"),
    [(("lzma",), None, "no content coding"), ((), "deflate", "no content coding"), (("br",), "br", "not both")],
)
def test_what_is_no_recipe_is_refused(
    make_mount: Any, siblings: tuple[str, ...], coding: str | None, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        Layout.of(make_mount(), siblings, coding)
