"""That a manifest is read back as it was written, and that nothing else passes for one."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets.paths import is_clean
from assetstore.errors import ManifestError
from assetstore.names import fingerprint as fingerprints
from assetstore.names.manifest import FORMAT, Entry, Manifest, StoredObject, document, dump, from_document, load

HEX = "0123456789abcdef"
paths = st.text(min_size=1, max_size=40).filter(is_clean).filter(lambda path: fingerprints.split(path)[1] is None)
digests = st.text(HEX, min_size=64, max_size=64)
sizes = st.integers(0, 2**60)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    path, fingerprint = draw(paths), draw(st.none() | digests)
    named = path if fingerprint is None else fingerprints.add(path, fingerprint)
    coding = st.sampled_from([None, "br", "gzip", "zstd"])
    stored = tuple(
        StoredObject(name, draw(sizes), draw(digests), draw(digests)[:16], draw(coding), draw(st.none() | st.text()))
        for name in {path, named}
    )
    return Entry(path, fingerprint, draw(sizes), draw(digests), "sha384-x", "text/css", draw(st.none() | sizes), stored)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    found = draw(st.lists(entries(), max_size=5, unique_by=lambda entry: entry.path))
    at = draw(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)))
    retained = draw(st.frozensets(paths))
    return Manifest(
        draw(st.text()),
        at,
        draw(st.none() | st.text()),
        {each.path: each for each in found},
        retained,
        {path: (draw(sizes), draw(digests)) for path in retained if draw(st.booleans())},
    )


MANIFEST = Manifest(
    "r1",
    datetime(2026, 1, 2, tzinfo=UTC),
    "assets",
    {f"{n}.css": Entry(f"{n}.css", "ab" * 32, n, "cd" * 32, "sha384-x", "text/css", n) for n in range(3)},
    frozenset({"old.css"}),
)


@given(manifests())
def test_what_is_written_is_read_back(manifest: Manifest) -> None:
    assert load(dump(manifest), "m.json") == manifest


def test_a_plain_name_that_looks_fingerprinted_is_a_name_like_any_other() -> None:
    path = f"vendor-{'ef' * 32}.js"
    entry = Entry(path, None, 1, "cd" * 32, "sha384-x", "text/javascript", None)
    manifest = Manifest("r1", datetime(2026, 1, 2, tzinfo=UTC), None, {path: entry})
    assert load(dump(manifest), "m.json") == manifest


@given(manifests())
def test_equal_manifests_are_equal_bytes(manifest: Manifest) -> None:
    turned = Manifest(
        manifest.release,
        manifest.published_at,
        manifest.mount,
        dict(reversed(list(manifest.entries.items()))),
        manifest.retained,
        dict(reversed(list(manifest.retained_digests.items()))),
    )
    assert dump(turned) == dump(manifest)


@given(manifests())
def test_further_keys_do_not_hide_the_manifest(manifest: Manifest) -> None:
    data = dump(manifest, {"releases": [["r1"]]})
    assert load(data, "m.json") == manifest
    assert document(data, "m.json")["releases"] == [["r1"]]


CSS = Entry("css/app.css", "ab" * 32, 3, "cd" * 32, "sha384-x", "text/css", 1)
GOOD = Manifest("r1", datetime(2026, 1, 2, tzinfo=UTC), "assets", {"css/app.css": CSS})


def test_the_file_tells_people_and_other_tools_everything_of_a_file() -> None:
    told = json.loads(dump(GOOD))["entries"]["css/app.css"]
    assert told == {
        "fingerprint": "ab" * 32,
        "fingerprinted_path": f"css/app-{'ab' * 32}.css",
        "size": 3,
        "sha256": "cd" * 32,
        "integrity": "sha384-x",
        "content_type": "text/css",
        "codings": [],
        "mtime_ns": 1,
        "stored": [],
    }


def test_times_of_any_zone_are_read_as_utc() -> None:
    east = datetime(2026, 1, 2, 9, tzinfo=timezone(timedelta(hours=9)))
    found = load(dump(Manifest("r1", east, None, {})), "m.json")
    assert (found.published_at, found.published_at.tzinfo) == (datetime(2026, 1, 2, tzinfo=UTC), UTC)


def changed(**facts: Any) -> bytes:
    return json.dumps({**json.loads(dump(GOOD)), **facts}).encode()


def changed_entry(**facts: Any) -> bytes:
    entry = {**json.loads(dump(GOOD))["entries"]["css/app.css"], **facts}
    return changed(entries={facts.pop("path", "css/app.css"): entry})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "is no JSON", id="empty"),
        pytest.param(b"<html>", "is no JSON", id="an error page"),
        pytest.param(b"\xff\xfe", "is no JSON", id="binary"),
        pytest.param(b"[]", "no assetstore manifest", id="a list"),
        pytest.param(b'{"version": "1.1", "paths": {}}', "no assetstore manifest", id="another tool's manifest"),
        pytest.param(changed(format=FORMAT + 1), "upgrade assetstore here", id="a newer format"),
        pytest.param(changed(format="1"), "no format version", id="a format that is no number"),
        pytest.param(changed(format=0), "no format version", id="a format of zero"),
        pytest.param(changed(published_at="yesterday"), "damaged", id="no time"),
        pytest.param(changed(published_at="2026-01-02T00:00:00"), "damaged", id="a time of no zone"),
        pytest.param(changed(entries=None), "damaged", id="no entries"),
        pytest.param(changed(entries={"a": 1}), "damaged", id="entries of another kind"),
        pytest.param(changed(retained=7), "damaged", id="retained of another kind"),
        pytest.param(changed(retained_digests={"a": [1]}), "damaged", id="half a digest"),
        pytest.param(changed_entry(path="../../etc/passwd"), "damaged", id="a path outside"),
        pytest.param(changed_entry(fingerprint="../x"), "damaged", id="a fingerprint that is none"),
        pytest.param(changed_entry(size=None), "damaged", id="no size"),
        pytest.param(changed_entry(stored=[["a"]]), "damaged", id="half an object"),
        pytest.param(changed_entry(stored=["abcdef"]), "damaged", id="an object that is text"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_name_and_advice(data: bytes, says: str) -> None:
    with pytest.raises(ManifestError, match=says) as caught:
        load(data, "dist/assets.json")
    assert "dist/assets.json" in str(caught.value)
    assert ";" in str(caught.value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_other_json_is_refused_and_never_breaks_the_reader(value: object) -> None:
    with pytest.raises(ManifestError):
        from_document(document(json.dumps(value).encode(), "m.json"), "m.json")
    with pytest.raises(ManifestError):
        load(changed(entries={"a.css": value}), "m.json")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_in_any_chunks_are_a_manifest_or_a_clear_error(data: bytes, cuts: list[int]) -> None:
    stops = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    with contextlib.suppress(ManifestError):
        load((data[start:stop] for start, stop in itertools.pairwise(stops)), "somewhere")


@given(manifests())
def test_packed_entries_are_the_same_entries(manifest: Manifest) -> None:
    packed = load(dump(manifest), "somewhere", packed=True)
    assert dict(packed.entries) == manifest.entries
    assert list(packed.entries) == sorted(manifest.entries)
    assert len(packed.entries) == len(manifest.entries)
    assert list(packed.entries.values()) == [manifest.entries[path] for path in sorted(manifest.entries)]
    assert dump(packed) == dump(manifest)
    assert packed.entries.get("no/such/entry") is None
    assert "no/such/entry" not in packed.entries


@given(st.binary(max_size=300), st.integers(0, 300))
def test_damaged_entries_are_refused_when_they_are_packed(junk: bytes, at: int) -> None:
    data = dump(MANIFEST)
    start = data.index(b'"entries":{\n') + at % 200
    try:
        packed = load(data[:start] + junk + data[start + len(junk) :], "somewhere", packed=True)
    except ManifestError:
        return
    assert all(isinstance(packed.entries[path], Entry) for path in packed.entries)


def test_a_packed_manifest_leaves_next_to_nothing_for_the_garbage_collector() -> None:
    entries = {f"{n}.css": Entry(f"{n}.css", f"{n:064x}", n, "cd" * 32, "x", "text/css", n) for n in range(5_000)}
    data = dump(replace(MANIFEST, entries=entries))
    gc.collect()
    before = len(gc.get_objects())
    manifest = load(data, "somewhere", packed=True)
    assert len(manifest.entries) == 5_000
    assert len(gc.get_objects()) - before < 500


@given(st.integers(1, 400))
def test_a_manifest_read_in_chunks_is_the_one_that_was_written(size: int) -> None:
    data = dump(MANIFEST)
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    assert load(chunks, "somewhere") == load(data, "somewhere") == MANIFEST


@pytest.mark.parametrize("end", [b"", b"}", b"}}", b"}}\nmore\n", b"}}\n}}\n"])
def test_a_manifest_that_is_cut_off_or_goes_on_is_refused(end: bytes) -> None:
    data = dump(MANIFEST)
    assert data.endswith(b"\n}}\n")
    with pytest.raises(ManifestError):
        load([data[: -len(b"}}\n")] + end], "somewhere")


def test_a_manifest_that_another_tool_has_laid_out_anew_is_read() -> None:
    again = json.dumps(json.loads(dump(MANIFEST)), indent=2).encode()
    assert load(again, "somewhere") == MANIFEST
