"""The guide, section by section: ``test_6_2_…`` is for its section 6.2.

Each section is proved once here in the guide's own terms; its corners are proved where the code is.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

import jinja2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.cli.main import main
from assetstore.errors import SettingsError, UnsafePath
from saved import saved_a_while_ago

SECTIONS = """
    1 2 3 4 5 5.1 5.2 5.3 5.4 5.5 6 6.1 6.2 6.3 7 7.1 7.2 7.3 7.4 8 9 10 11 12 12.1 12.2 12.3 12.4 12.5 13
""".split()

FOREVER = "max-age=31536000, public, immutable"
ALWAYS_ASK = "max-age=0, public, must-revalidate"
FINGERPRINT = "[0-9a-f]{64}"

#: The layout of the guide's section 2.
LAYOUT = """
    500.html favicon.ico humans.txt robots.txt fonts/inter.woff2 images/logo.png
    js/app.js js/stimulus.js js/turbo.js styles/app.css styles/base.css styles/forms/buttons.css
""".split()

Make = Callable[..., AssetStore]
Serve = Callable[..., TestClient]


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """The guide's ``assets/`` folder; each file says which it is."""
    root = tmp_path / "assets"
    for path in LAYOUT:
        save(root / path, f"/* {path} */")
    save(root / "styles/app.css", '@font-face { font-family: "Inter"; src: url("../fonts/inter.woff2"); }')
    return root


@pytest.fixture
def make(assets: Path) -> Make:
    """A store with the guide's one line of wiring; settings by keyword."""

    def make_(**settings: Any) -> AssetStore:
        store = AssetStore({}, **settings)
        store.static(store.settings.ASSETS_URL, root=assets, name="assets")
        return store

    return make_


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A client of an application with a store's routes and one of its own."""
    with_ = []

    def home(request: Request) -> Response:
        return PlainTextResponse("home")

    def serve_(store: AssetStore) -> TestClient:
        app = Starlette(routes=[*store.routes, Route("/", home)], lifespan=store.lifespan)
        client = TestClient(app, base_url="https://app.example.com", follow_redirects=False)
        client.__enter__()
        with_.append(client)
        return client

    yield serve_
    for client in with_:
        client.__exit__(None, None, None)


def save(file: Path, text: str, mtime_seconds: float | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    if mtime_seconds is None:
        saved_a_while_ago(file)
    else:
        os.utime(file, (mtime_seconds, mtime_seconds))


def soon(check: Callable[[], bool], within_seconds: float = 10) -> bool:
    """Whether *check* comes true; a busy machine is given time, the second of section 1 is measured there."""
    deadline = time.monotonic() + within_seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def imports_of(tag: str) -> dict[str, str]:
    found = re.fullmatch(r'<script type="importmap"[^>]*>(.*)</script>', str(tag).strip(), re.DOTALL)
    assert found, tag
    imports: dict[str, str] = json.loads(found[1])["imports"]
    return imports


def test_every_section_of_the_guide_is_pointed_to() -> None:
    names = [name for name in globals() if name.startswith("test_")]
    unproved = [each for each in SECTIONS if not any(proves(name, each) for name in names)]
    assert unproved == []


def proves(name: str, section: str) -> bool:
    return re.match(rf"test_{section.replace('.', '_')}_(?!\d)", name) is not None


def test_1_a_saved_file_has_a_new_url_within_a_second_and_is_served_there(
    make: Make, serve: Serve, assets: Path
) -> None:
    store = make()
    client = serve(store)
    waits = []
    for text in ("one", "two", "three"):
        before = store.url_for("assets", file="styles/base.css")
        save(assets / "styles/base.css", text)
        saved = time.monotonic()
        assert soon(lambda before=before: store.url_for("assets", file="styles/base.css") != before)
        waits.append(time.monotonic() - saved)
        answer = client.get(store.url_for("assets", file="styles/base.css"))
        assert (answer.text, answer.headers["cache-control"]) == (text, FOREVER)
    assert min(waits) < 1  # the others are a busy machine's


def test_2_every_file_of_the_layout_is_served_and_new_folders_as_well(make: Make, serve: Serve, assets: Path) -> None:
    store = make()
    client = serve(store)
    save(assets / "videos/later.svg", "<svg/>")
    for path in [*LAYOUT, "videos/later.svg"]:
        answer = client.get(store.url_for("assets", file=path))
        assert (answer.status_code, answer.content) == (200, (assets / path).read_bytes()), path


def test_3_static_has_the_signature_of_the_guide() -> None:
    parameters = inspect.signature(AssetStore.static).parameters
    guide: dict[str, Any] = {
        "name": None,
        "allowed_ext": (),
        "public": True,
        "fingerprint": True,
        "host": None,
        "defaults": None,
    }
    assert list(parameters)[:3] == ["self", "url", "root"]
    assert {name: parameters[name].default for name in guide} == guide
    assert all(
        each.kind is inspect.Parameter.KEYWORD_ONLY for name, each in parameters.items() if name not in {"self", "url"}
    )


def test_3_a_path_may_go_as_deep_as_it_likes(make: Make, serve: Serve) -> None:
    assert make().settings.ASSETS_URL == "/assets/"
    assert serve(make()).get("/assets/styles/forms/buttons.css").status_code == 200


def test_3_host_answers_only_there_and_defaults_answer_the_bare_prefix(serve: Serve, assets: Path) -> None:
    store = AssetStore({})
    store.static("docs", root=assets, name="docs", host="static.example.com", defaults={"file": "500.html"})
    client = serve(store)
    assert store.url_for("docs", file="js/app.js").startswith("//static.example.com/docs/js/app-")
    assert client.get("/docs/js/app.js").status_code == 404
    there = {"host": "static.example.com"}
    assert client.get("/docs/js/app.js", headers=there).status_code == 200
    assert client.get("/docs/", headers=there).text == "/* 500.html */"


def test_4_url_for_gives_the_same_in_python_and_in_a_template(make: Make, tmp_path: Path) -> None:
    store = make()
    url = store.url_for("assets", file="styles/app.css")
    assert re.fullmatch(rf"/assets/styles/app-{FINGERPRINT}\.css", url)
    save(tmp_path / "templates/page.html", """{{ url_for('assets', file='styles/app.css') }}""")
    templates = Jinja2Templates(tmp_path / "templates")
    app = Starlette(
        routes=[*store.routes, Route("/page", lambda request: templates.TemplateResponse(request, "page.html"))]
    )
    assert TestClient(app).get("/page").text == url
    assert str(app.url_path_for("assets", file="styles/app.css")) == url


def test_4_a_missing_file_gets_its_plain_url_and_is_a_404(make: Make, serve: Serve) -> None:
    store = make()
    url = store.url_for("assets", file="styles/ap.css")
    assert url == "/assets/styles/ap.css"
    assert serve(store).get(url).status_code == 404


@pytest.mark.parametrize("file", ["/styles/app.css", "/assets/styles/app.css", "../secret"])
def test_4_a_path_is_relative_to_the_root(make: Make, file: str) -> None:
    with pytest.raises(UnsafePath):
        make().url_for("assets", file=file)


STIMULUS = {"@hotwired/stimulus": "js/stimulus.js", "@hotwired/turbo": "js/turbo.js"}


def test_5_bare_names_lead_to_the_files(make: Make, serve: Serve) -> None:
    store = make(IMPORT_MAP=STIMULUS)
    client = serve(store)
    imports = imports_of(store.render_importmap())
    assert client.get(imports["@hotwired/turbo"]).text == "/* js/turbo.js */"
    assert client.get(imports["@hotwired/turbo"]).headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("key", ["name", "@scope/name", "a b", "#inner", "grüße"])
def test_5_1_any_bare_specifier_is_a_key(make: Make, key: str) -> None:
    assert list(imports_of(make(IMPORT_MAP={key: "js/app.js"}).render_importmap())) == [key]


@pytest.mark.parametrize("pins", [{"": "js/app.js"}, {"x": 7}, {"x": "./js/app.js"}])
def test_5_1_what_no_browser_would_take_is_refused(make: Make, pins: dict[str, Any]) -> None:
    with pytest.raises((SettingsError, UnsafePath)):
        make(IMPORT_MAP=pins).render_importmap()


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("js/stimulus.js", rf"/assets/js/stimulus-{FINGERPRINT}\.js"),
        ("/assets/js/stimulus.js", r"/assets/js/stimulus\.js"),
        ("https://cdn.example.com/x.js", r"https://cdn\.example\.com/x\.js"),
    ],
)
def test_5_2_each_shape_of_value_is_resolved_its_own_way(make: Make, value: str, pattern: str) -> None:
    assert re.fullmatch(pattern, imports_of(make(IMPORT_MAP={"x": value}).render_importmap())["x"])


def test_5_3_the_tag_is_one_script_and_the_same_byte_for_byte(make: Make) -> None:
    store = make(IMPORT_MAP=STIMULUS)
    environment = jinja2.Environment(autoescape=True)
    environment.globals["render_importmap"] = store.render_importmap
    page = environment.from_string("{{ render_importmap() }}").render()
    assert page.startswith('<script type="importmap">')
    assert page == str(store.render_importmap()) == str(make(IMPORT_MAP=STIMULUS).render_importmap())
    assert list(imports_of(page)) == list(STIMULUS)


def test_5_4_a_library_elsewhere_is_left_as_it_is(make: Make) -> None:
    lodash = "https://esm.sh/lodash-es@4.17.21"
    assert imports_of(make(IMPORT_MAP={**STIMULUS, "lodash-es": lodash}).render_importmap())["lodash-es"] == lodash


def test_5_5_a_saved_module_changes_its_own_entry_and_no_other(make: Make, assets: Path) -> None:
    store = make(IMPORT_MAP=STIMULUS)
    before = imports_of(store.render_importmap())
    save(assets / "js/turbo.js", "/* next */")
    assert soon(lambda: imports_of(store.render_importmap()) != before)
    after = imports_of(store.render_importmap())
    assert {key for key in after if after[key] != before[key]} == {"@hotwired/turbo"}


def test_6_old_urls_still_lead_to_the_file(make: Make, serve: Serve, assets: Path) -> None:
    store = make()
    client = serve(store)
    old = store.url_for("assets", file="js/app.js")
    save(assets / "js/app.js", "next()")
    assert soon(lambda: store.url_for("assets", file="js/app.js") != old)
    assert client.get("/assets/js/app.js").text == "next()"
    answer = client.get(old)
    # What no fingerprint vouches for is not kept: the guide would have said immutable here.
    assert (answer.text, answer.headers["cache-control"]) == ("next()", ALWAYS_ASK)


def test_6_1_a_fingerprinted_file_is_kept_for_a_year_and_never_asked_for_again(make: Make, serve: Serve) -> None:
    store = make()
    answer = serve(store).get(store.url_for("assets", file="styles/app.css"))
    assert answer.headers["cache-control"] == FOREVER


def test_6_2_the_fingerprint_is_the_sha256_of_the_modified_time(make: Make, assets: Path) -> None:
    store = make()
    file = assets / "js/app.js"
    made_of = str(file.stat().st_mtime_ns).encode()
    assert store.url_for("assets", file="js/app.js") == f"/assets/js/app-{hashlib.sha256(made_of).hexdigest()}.js"


def test_6_2_touching_changes_the_name_and_so_do_other_bytes_of_the_same_whole_second(make: Make, assets: Path) -> None:
    file = assets / "js/app.js"
    save(file, "one", mtime_seconds=1_700_000_000)
    first = make().url_for("assets", file="js/app.js")
    save(file, "two", mtime_seconds=1_700_000_000)
    second = make().url_for("assets", file="js/app.js")
    os.utime(file, (1_700_000_001, 1_700_000_001))
    third = make().url_for("assets", file="js/app.js")
    assert len({first, second, third}) == 3
    then = 1_700_000_001_123_456_789
    os.utime(file, ns=(then, then))
    assert hashlib.sha256(str(then).encode()).hexdigest() in make().url_for("assets", file="js/app.js")


def test_6_3_a_stable_url_carries_no_fingerprint(serve: Serve, assets: Path) -> None:
    store = AssetStore({})
    store.static("/og", root=assets / "images", name="og", fingerprint=False)
    assert store.url_for("og", file="logo.png") == "/og/logo.png"
    assert serve(store).get("/og/logo.png").headers["cache-control"] == ALWAYS_ASK


def test_7_the_policy_depends_on_whether_the_url_carries_the_fingerprint(make: Make, serve: Serve) -> None:
    store = make()
    client = serve(store)
    urls = (store.url_for("assets", file="js/app.js"), "/assets/js/app.js")
    assert [client.get(url).headers["cache-control"] for url in urls] == [FOREVER, ALWAYS_ASK]


def test_7_1_immutable_is_said_of_get_and_head(make: Make, serve: Serve) -> None:
    store = make()
    url = store.url_for("assets", file="js/app.js")
    client = serve(store)
    for answer in (client.get(url), client.head(url)):
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOREVER)


def test_7_2_an_unchanged_plain_file_is_a_304_without_a_body(make: Make, serve: Serve, assets: Path) -> None:
    save(assets / "js/app.js", "x", mtime_seconds=1_700_000_000)
    client = serve(make())
    first = client.get("/assets/js/app.js")
    assert first.headers["last-modified"] == formatdate(1_700_000_000, usegmt=True)
    again = client.get("/assets/js/app.js", headers={"if-modified-since": first.headers["last-modified"]})
    assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", ALWAYS_ASK)
    save(assets / "js/app.js", "y", mtime_seconds=1_700_000_060)
    since = {"if-modified-since": first.headers["last-modified"]}
    assert soon(lambda: client.get("/assets/js/app.js", headers=since).text == "y")


def test_7_3_a_private_mount_says_private_in_both_forms(serve: Serve, assets: Path) -> None:
    store = AssetStore({})
    store.static("/private", root=assets, name="private_assets", public=False)
    client = serve(store)
    named = client.get(store.url_for("private_assets", file="js/app.js"))
    assert named.headers["cache-control"] == "max-age=31536000, private, immutable"
    assert client.get("/private/js/app.js").headers["cache-control"] == "max-age=0, private, must-revalidate"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/assets/js/app.js", {}, 200),
        ("HEAD", "/assets/js/app.js", {}, 200),
        ("GET", "/assets/js/app.js", {"range": "bytes=0-1"}, 206),
        ("GET", "/assets/js/app.js", {"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
        ("GET", "/assets/nothing.js", {}, 404),
        ("POST", "/assets/js/app.js", {}, 405),
        ("GET", "/assets/js/app.js", {"if-match": '"no"'}, 412),
        ("GET", "/assets/js/app.js", {"range": "bytes=999-"}, 416),
    ],
)
def test_7_4_every_answer_may_be_read_from_other_origins(
    make: Make, serve: Serve, assets: Path, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    save(assets / "js/app.js", "x" * 9, mtime_seconds=1_700_000_000)
    answer = serve(make()).request(method, path, headers={"origin": "https://other.example.com", **headers})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


@pytest.mark.parametrize(
    ("allowed", "path", "status"),
    [
        ([".css", ".js"], "styles/app.css", 200),
        ([".css", ".js"], "styles/APP.CSS", 200),
        ([".css", ".js"], "js/app.min.js", 200),
        ([".css", ".js"], "robots.txt", 404),
        ([".css", ".js"], "LICENSE", 404),
        ([".css", ""], "LICENSE", 200),
        ([], "LICENSE", 200),
    ],
)
def test_8_only_the_allowed_extensions_are_served(
    serve: Serve, assets: Path, allowed: list[str], path: str, status: int
) -> None:
    save(assets / path, "x")
    store = AssetStore({})
    store.static("/assets/", root=assets, name="assets", allowed_ext=allowed)
    assert serve(store).get(f"/assets/{path}").status_code == status


@pytest.mark.parametrize("header", ["X-Accel-Redirect", "X-Sendfile"])
def test_9_with_off_loading_the_answer_names_the_file_and_holds_no_bytes(make: Make, serve: Serve, header: str) -> None:
    store = make(STATIC_X_SENDFILE_HEADER=header)
    client = serve(store)
    answer = client.get("/assets/js/app.js")
    assert answer.status_code == 200
    assert answer.headers[header].endswith("/js/app.js")
    assert answer.content == b""
    # What is immutable goes out that way only from where the path cannot come to hold other bytes (http/sendfile.py).
    answer = client.get(store.url_for("assets", file="js/app.js"))
    assert (answer.headers["cache-control"], answer.text) == (FOREVER, "/* js/app.js */")
    assert header not in answer.headers


def test_9_without_the_setting_the_application_sends_the_bytes(make: Make, serve: Serve) -> None:
    answer = serve(make()).get("/assets/js/app.js")
    assert answer.text == "/* js/app.js */"
    assert not {"x-accel-redirect", "x-sendfile"} & set(answer.headers)


@pytest.mark.parametrize("assets_url", ["/assets/", "https://cdn.example.com/"])
def test_10_files_at_the_root_are_sent_on_to_the_mount(make: Make, serve: Serve, assets_url: str) -> None:
    store = make(ASSETS_URL=assets_url)
    store.root_files("favicon.ico", "robots.txt", "humans.txt")
    client = serve(store)
    for file in ("favicon.ico", "robots.txt", "humans.txt"):
        sent_on = client.get(f"/{file}")
        assert (sent_on.status_code, sent_on.headers["location"]) == (301, f"/assets/{file}")
        assert client.get(sent_on.headers["location"]).text == f"/* {file} */"


def test_11_each_mount_keeps_its_own_rules(make: Make, serve: Serve, tmp_path: Path) -> None:
    save(tmp_path / "exports/report.csv", "a,b")
    save(tmp_path / "exports/notes.txt", "no")
    store = make()
    store.static(
        "/exports/",
        root=tmp_path / "exports",
        name="exports",
        fingerprint=False,
        allowed_ext=[".pdf", ".csv"],
        public=False,
    )
    client = serve(store)
    assert store.url_for("exports", file="report.csv") == "/exports/report.csv"
    assert client.get("/exports/report.csv").headers["cache-control"] == "max-age=0, private, must-revalidate"
    assert client.get("/exports/notes.txt").status_code == 404
    assert client.get(store.url_for("assets", file="js/app.js")).headers["cache-control"] == FOREVER


CDN = "https://cdn.example.com/"


def test_12_one_setting_moves_every_url_and_nothing_else(make: Make) -> None:
    on_origin, on_cdn = make(), make(ASSETS_URL=CDN)
    for path in LAYOUT:
        ours = on_origin.url_for("assets", file=path)
        assert on_cdn.url_for("assets", file=path) == CDN + ours.removeprefix("/assets/")


@pytest.mark.parametrize("setting", [CDN, CDN.rstrip("/")])
def test_12_1_the_import_map_and_the_router_follow_along(make: Make, setting: str) -> None:
    store = make(ASSETS_URL=setting, IMPORT_MAP=STIMULUS)
    assert re.fullmatch(rf"{CDN}styles/app-{FINGERPRINT}\.css", store.url_for("assets", file="styles/app.css"))
    assert all(url.startswith(f"{CDN}js/") for url in imports_of(store.render_importmap()).values())
    app = Starlette(
        routes=[*store.routes, Route("/url", lambda r: PlainTextResponse(str(r.url_for("assets", file="js/app.js"))))]
    )
    assert TestClient(app).get("/url").text == store.url_for("assets", file="js/app.js")


@pytest.mark.parametrize("setting", ["https://cdn.example.com/", "https://cdn.example.com/static/"])
def test_12_2_the_origin_answers_at_the_path_that_a_pulling_cdn_asks_for(
    make: Make, serve: Serve, setting: str
) -> None:
    store = make(ASSETS_URL=setting)
    client = serve(store)
    for path in LAYOUT:
        answer = client.get(urlsplit(store.url_for("assets", file=path)).path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOREVER), path
    assert client.get("/").text == "home"
    assert client.get("/assets/js/app.js").status_code == 200


def test_12_2_old_names_stay_valid_through_a_deploy(make: Make, serve: Serve, assets: Path) -> None:
    store = make(ASSETS_URL=CDN)
    client = serve(store)
    old = store.url_for("assets", file="js/app.js")
    save(assets / "js/app.js", "next()")
    assert soon(lambda: store.url_for("assets", file="js/app.js") != old)
    assert client.get(urlsplit(old).path).status_code == 200


@pytest.fixture
def published(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for a CDN's bucket, with the assets published to it."""
    (tmp_path / "guide_site.py").write_text(
        f"from assetstore import AssetStore\n"
        f"store = AssetStore({{}}, ASSETS_URL={CDN!r})\n"
        f"store.static(store.settings.ASSETS_URL, root={str(assets)!r}, name='assets')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "guide_site", raising=False)
    assert main(["publish", "--app", "guide_site:store", "--to", str(tmp_path / "bucket")]) == 0
    return tmp_path / "bucket"


def test_12_2_pushed_files_lie_where_the_urls_point(make: Make, published: Path) -> None:
    store = make(ASSETS_URL=CDN)
    for path in LAYOUT:
        if path != "styles/app.css":  # its references are rewritten: see 12.4
            pushed = published / store.url_for("assets", file=path).removeprefix(CDN)
            assert pushed.read_bytes() == (published / path).read_bytes()


def test_12_3_what_a_cdn_should_honour_is_there_to_be_honoured(make: Make, serve: Serve) -> None:
    store = make(ASSETS_URL=CDN)
    client = serve(store)
    named = client.get(urlsplit(store.url_for("assets", file="fonts/inter.woff2")).path)
    assert "immutable" in named.headers["cache-control"]
    assert named.headers["access-control-allow-origin"] == "*"
    plain = client.get("/humans.txt")
    since = {"if-modified-since": plain.headers["last-modified"]}
    assert client.get("/humans.txt", headers=since).status_code == 304


def test_12_4_relative_urls_in_a_style_sheet_resolve_on_the_cdn(make: Make, serve: Serve) -> None:
    store = make(ASSETS_URL=CDN)
    client = serve(store)
    sheet = store.url_for("assets", file="styles/app.css")
    [named] = re.findall(r'url\("([^"]+)"\)', client.get(urlsplit(sheet).path).text)
    font = urljoin(sheet, named)
    assert re.fullmatch(rf"{CDN}fonts/inter(-{FINGERPRINT})?\.woff2", font)
    assert client.get(urlsplit(font).path).text == "/* fonts/inter.woff2 */"


def test_12_5_a_push_before_a_release_makes_its_files_ready(published: Path) -> None:
    assert {path for path in LAYOUT if (published / path).is_file()} == set(LAYOUT)


def test_12_5_a_first_pull_needs_no_step_and_starts_no_scan(make: Make, serve: Serve) -> None:
    store = make(ASSETS_URL=CDN)
    first = serve(store).get(urlsplit(store.url_for("assets", file="styles/base.css")).path)
    assert (first.status_code, first.headers["cache-control"]) == (200, FOREVER)


def test_13_what_jx_components_declare_becomes_fingerprinted_tags(
    make: Make, tmp_path: Path, assets: Path, package: Callable[[str], ModuleType]
) -> None:
    package("jx")
    from assetstore.integrations.jx import Catalog

    for path in ("card.css", "card-anim.css", "card.js"):
        save(assets / path, path)
    save(
        tmp_path / "components/card.jinja",
        '{#css "card.css", "card-anim.css" #}\n{#js "card.js" #}\n{#def title #}\n<div class="card">{{ content }}</div>',
    )
    save(
        tmp_path / "components/layout.jinja",
        '{#import "./card.jinja" as Card #}\n{{ assets.render() }}\n<Card title="x">one</Card><Card title="y">two</Card>',
    )
    for assets_url in ("/assets/", CDN):
        page = Catalog(make(ASSETS_URL=assets_url), tmp_path / "components").render("layout.jinja")
        found = re.findall(r'(?:href|src)="([^"]+)"', page)
        wanted = [rf"card-{FINGERPRINT}\.css", rf"card-anim-{FINGERPRINT}\.css", rf"card-{FINGERPRINT}\.js"]
        assert len(found) == len(wanted)
        assert all(re.fullmatch(assets_url + each, url) for each, url in zip(wanted, found, strict=True))
