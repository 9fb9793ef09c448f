"""A check against real pull CDNs, nginx and Varnish: silent before good ones, and it finds every fault."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from assetstore.assets.compression import CODINGS, SUFFIXES, compress
from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend
from assetstore.check import check, choose, live_entries, probes
from assetstore.check.probes import Expect
from assetstore.check.rules import Item, Report
from assetstore.errors import BackendUnavailable, PublishError, SettingsError
from assetstore.mounts.mount import Mount
from assetstore.names.manifest import Entry
from assetstore.store import AssetStore
from saved import saved_a_while_ago
from servers.edges import NGINX_FAULTS, VARNISH_FAULTS, StartEdge
from servers.processes import Process, ProcessStarter

SITE = """
from starlette.applications import Starlette
from assetstore.store import AssetStore

assets = AssetStore({})
# nginx drops If-Modified-Since for what it may not keep, so it may keep plain files for a minute.
assets.static("https://cdn.example.com/", root="assets", name="assets", shared_cache="s-maxage=60")
app = Starlette(routes=assets.routes)
"""

APPLICATION = Expect(public=True, application=True)

#: Which item of a check sees each fault.
SEEN_AS = {
    "drops cors": Item.CORS,
    "drops corp": Item.ISOLATION,
    "drops nosniff": Item.ISOLATION,
    "drops etag": Item.ETAG,
    "drops vary": Item.COMPRESSION,
    "drops cache-control": Item.IMMUTABLE,
    "rewrites cache-control": Item.IMMUTABLE,
    "drops content-encoding": Item.COMPRESSION,
    "drops accept-encoding": Item.COMPRESSION,
    "mixes codings": Item.BYTES,
    "caches missing files": Item.MISSING,
    "never caches": Item.KEPT,
    "rewrites types": Item.TYPE,
    "poisons 304": Item.MIXED,
}


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches here say HIT at once, and the origin sees a new file within a second."""
    monkeypatch.setattr(probes, "SECOND_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(probes, "APPEAR_SECONDS", 5.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application and its assets: text, a font, an image."""
    folder = tmp_path_factory.mktemp("site")
    assets = folder / "assets"
    (assets / "fonts").mkdir(parents=True)
    (assets / "app.css").write_text("body { color: red; }\n" * 500)
    (assets / "app.js").write_text("export const one = 1;\n" * 500)
    (assets / "small.txt").write_text("humans\n")
    (assets / "fonts/text.woff2").write_bytes(os.urandom(5000))
    saved_a_while_ago(assets)
    (folder / "site_for_check.py").write_text(SITE)
    return folder


@pytest.fixture(scope="module")
def origin(site: Path, start_module_process: ProcessStarter) -> Process:
    return start_module_process.asgi("site_for_check:app", folder=site)


@pytest.fixture(scope="module")
def mount(site: Path) -> Mount:
    return AssetStore({}).static("https://cdn.example.com/", root=site / "assets", name="assets")


@pytest.fixture(scope="module")
def entries(mount: Mount) -> Mapping[str, Entry]:
    return live_entries(mount)


@pytest.fixture(scope="module")
def place(site: Path) -> WritableBackend:
    backend = open_backend(site / "assets")
    assert isinstance(backend, WritableBackend)
    return backend


def ask(process: Process, entries: Mapping[str, Entry], place: WritableBackend | None = None) -> Report:
    return check(process.url + "/", entries, expect=APPLICATION, place=place)


def told(report: Report) -> str:
    return "\n".join(f"{each.item.value}: {each.url}: {each.saw}" for each in report.faults)


def test_the_application_itself_is_without_fault(
    origin: Process, entries: Mapping[str, Entry], place: WritableBackend
) -> None:
    report = check(origin.url + "/assets/", entries, expect=APPLICATION, place=place)
    assert not report.faults, told(report)
    looked = {item for item in Item if report.counts(item)[0]}
    assert looked == set(Item) - {Item.KEPT}  # an origin does not say that it keeps anything


@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_a_good_cdn_is_without_fault(
    kind: str, edge: StartEdge, origin: Process, entries: Mapping[str, Entry], place: WritableBackend
) -> None:
    report = ask(edge(kind, origin.port, path="/assets/"), entries, place)
    assert not report.faults, told(report)
    assert {item for item in Item if report.counts(item)[0]} == set(Item)
    assert report.files == len(entries) == 4


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("nginx", each) for each in NGINX_FAULTS if each != "good"]
    + [("varnish", each) for each in VARNISH_FAULTS if each != "good"],
)
def test_every_fault_is_found_and_answered_with_what_to_change(
    kind: str, fault: str, edge: StartEdge, origin: Process, entries: Mapping[str, Entry]
) -> None:
    report = ask(edge(kind, origin.port, fault), entries)
    seen = [each for each in report.faults if each.item is SEEN_AS[fault]]
    assert seen, f"{fault} was not found; found were:\n{told(report)}"
    assert all(len(each.change) > 20 for each in report.faults)


@pytest.mark.parametrize("kind", ["nginx", "varnish"])
def test_a_cdn_that_keeps_404_in_silence_is_found_by_writing_a_file(
    kind: str, edge: StartEdge, origin: Process, entries: Mapping[str, Entry], place: WritableBackend, site: Path
) -> None:
    report = ask(edge(kind, origin.port, "caches missing files", path="/assets/"), entries, place)
    late = [each for each in report.faults if "after the file was there" in each.saw]
    assert len(late) == 1
    assert not list((site / "assets").glob("assetstore-check-*"))


def test_a_release_that_is_not_there_is_a_fault_of_each_file(origin: Process, entries: Mapping[str, Entry]) -> None:
    entry = entries["app.css"]
    gone = {"gone.css": Entry("gone.css", "0" * 64, 1, entry.sha256, entry.integrity, entry.content_type, None)}
    report = check(origin.url + "/", gone)
    assert [each.saw for each in report.faults] == ["status 404 instead of 200"] * 2


def test_other_bytes_than_the_published_are_found(origin: Process, entries: Mapping[str, Entry]) -> None:
    other = replace(entries["small.txt"], sha256=hashlib.sha256(b"other").hexdigest())
    report = check(origin.url + "/", {"small.txt": other})
    assert {each.item for each in report.faults} == {Item.BYTES}


STALE = """
from pathlib import Path

FILES = Path("assets")
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
HEADERS = [(b"content-type", b"text/css; charset=utf-8"), (b"vary", b"Accept-Encoding")]

async def app(scope, receive, send):
    coding = scope["path"].rpartition("/")[2].partition("-")[0]
    accepts = dict(scope["headers"]).get(b"accept-encoding", b"").decode()
    coded = coding in accepts
    body = (FILES / (f"{coding}.css" + (SUFFIXES[coding] if coded else ""))).read_bytes()
    headers = HEADERS + ([(b"content-encoding", coding.encode())] if coded else [])
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
"""


def left_by_another_build(assets: Path) -> Mapping[str, Entry]:
    """A file for each coding, and beside it the compressed file of another version."""
    assets.mkdir()
    for coding in CODINGS:
        (assets / f"{coding}.css").write_text("body { color: red; }\n" * 500)
    saved_a_while_ago(assets)
    entries = live_entries(AssetStore({}).static("https://cdn.example.com/", root=assets, name="assets"))
    for coding in CODINGS:
        another = compress(b"body { color: tan; }\n" * 500, coding)
        assert another is not None
        (assets / f"{coding}.css{SUFFIXES[coding]}").write_bytes(another)
    return entries


def test_a_variant_with_the_bytes_of_another_file_is_found_in_every_coding(
    tmp_path: Path, start_process: ProcessStarter
) -> None:
    entries = left_by_another_build(tmp_path / "assets")
    (tmp_path / "stale_for_check.py").write_text(STALE)
    served = start_process.asgi("stale_for_check:app", folder=tmp_path)
    report = check(served.url + "/assets/", entries, expect=APPLICATION)
    found = [each.saw for each in report.faults if "bytes of another file" in each.saw]
    assert sorted(found) == sorted(f"{coding} bytes of another file" for coding in CODINGS)


def test_a_variant_with_the_bytes_of_another_file_is_not_sent_by_the_application(
    tmp_path: Path, start_process: ProcessStarter
) -> None:
    entries = left_by_another_build(tmp_path / "assets")
    (tmp_path / "site_for_check.py").write_text(SITE)
    served = start_process.asgi("site_for_check:app", folder=tmp_path)
    report = check(served.url + "/assets/", entries, expect=APPLICATION)
    assert not report.faults, told(report)


def test_a_sample_has_every_kind_of_file_first(entries: Mapping[str, Entry]) -> None:
    many = [*entries.values(), *(Entry(f"{n}.css", None, 1, "", "", "", None) for n in range(500))]
    assert {each.path.rpartition(".")[2] for each in choose(many, 4)} == {"css", "js", "txt", "woff2"}
    assert len(choose(many, 50)) == 50
    assert choose(many, None) == many


@pytest.mark.parametrize("base", ["/assets/", "cdn.example.com", "ftp://cdn.example.com/", ""])
def test_what_is_no_full_url_is_refused(base: str, entries: Mapping[str, Entry]) -> None:
    with pytest.raises(SettingsError, match="https://cdn.example.com/"):
        check(base, entries)


def test_a_host_that_does_not_answer_is_an_error_and_no_fault(entries: Mapping[str, Entry], free_port: object) -> None:
    with pytest.raises(BackendUnavailable, match="does not answer"):
        check(f"http://127.0.0.1:{free_port()}/", entries)  # type: ignore[operator]


def test_an_empty_release_is_not_called_well(origin: Process) -> None:
    with pytest.raises(PublishError, match="nothing to check"):
        check(origin.url, {})
