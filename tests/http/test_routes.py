"""Starlette routes: names through every router, and the right mount for each request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, NoMatchFound, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from assetstore import AssetStore
from assetstore.errors import MountNotFound, SettingsError

if TYPE_CHECKING:
    from servers.s3 import S3Bucket

Client = Callable[..., TestClient]


@pytest.fixture
def client() -> Iterator[Client]:
    opened: list[TestClient] = []

    def connect(app: ASGIApp, base_url: str = "http://testserver", root_path: str = "") -> TestClient:
        found = TestClient(app, base_url, root_path=root_path, follow_redirects=False)
        opened.append(found)
        return found

    yield connect
    for each in opened:
        each.close()


def page(name: str = "assets", **params: str) -> Route:
    """A route whose answer is what ``request.url_for`` gives there."""

    def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.url_for(name, **(params or {"file": "favicon.ico"}))))

    return Route("/", endpoint)


def store_of(asset_tree: Path, url: str = "/assets/", **options: object) -> AssetStore:
    store = AssetStore()
    store.static(url, root=asset_tree, name="assets", fingerprint=False, **options)  # type: ignore[arg-type]
    return store


def test_request_url_for_stays_a_path_on_the_origin(asset_tree: Path, client: Client) -> None:
    """Behind a proxy that ends TLS, Starlette's own absolute URL would say http://."""
    app = Starlette(routes=[*store_of(asset_tree).routes, page()])
    assert client(app).get("/").text == "/assets/favicon.ico"


def test_request_url_for_is_absolute_on_a_cdn(asset_tree: Path, client: Client) -> None:
    app = Starlette(routes=[*store_of(asset_tree, "https://cdn.example.com/").routes, page()])
    assert client(app).get("/").text == "https://cdn.example.com/favicon.ico"


def test_request_url_for_names_the_host_of_a_mount_that_has_one(asset_tree: Path, client: Client) -> None:
    app = Starlette(routes=[*store_of(asset_tree, host="static.example.com").routes, page()])
    assert client(app).get("/").text == "//static.example.com/assets/favicon.ico"


def test_request_url_for_honours_the_root_path(asset_tree: Path, client: Client) -> None:
    app = Starlette(routes=[*store_of(asset_tree).routes, page()])
    served = client(app, root_path="/below")
    url = served.get("/below/").text
    assert url == "/below/assets/favicon.ico"
    assert served.get(url).status_code == 200


def test_app_url_path_for_knows_the_mounts(asset_tree: Path) -> None:
    app = Starlette(routes=store_of(asset_tree).routes)
    assert app.url_path_for("assets", file="favicon.ico") == "/assets/favicon.ico"


def test_path_is_accepted_as_static_files_takes_it(asset_tree: Path, client: Client) -> None:
    """A StaticFiles mount is swapped for ours without touching a template."""
    for path in ("css/app.css", "/css/app.css"):
        theirs = Starlette(routes=[Mount("/assets", StaticFiles(directory=asset_tree), name="assets"), page(path=path)])
        ours = Starlette(routes=[*store_of(asset_tree).routes, page(path=path)])
        assert client(theirs).get("/").text == "http://testserver" + client(ours).get("/").text


@pytest.mark.parametrize("params", [{}, {"file": "a", "path": "b"}, {"file": 3}, {"name_": "x"}])
def test_other_parameters_match_no_route(asset_tree: Path, params: dict[str, object]) -> None:
    with pytest.raises(NoMatchFound):
        Starlette(routes=store_of(asset_tree).routes).url_path_for("assets", **params)


def test_fastapi_works_unchanged(asset_tree: Path, client: Client) -> None:
    app = FastAPI(routes=store_of(asset_tree).routes)

    @app.get("/")
    def home(request: FastAPIRequest) -> str:
        return str(request.url_for("assets", file="favicon.ico"))

    served = client(app)
    assert served.get("/").json() == "/assets/favicon.ico"
    assert served.get("/assets/favicon.ico").content == (asset_tree / "favicon.ico").read_bytes()
    assert served.get("/openapi.json").status_code == 200


def test_the_routes_serve_inside_a_mount(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree)
    app = Starlette(routes=[Mount("/sub", routes=[*store.routes, page()])])
    assert client(app).get("/sub/assets/favicon.ico").status_code == 200
    assert client(app).get("/sub/").text.endswith("/sub/assets/favicon.ico")


@pytest.mark.parametrize(
    ("url", "expected"),
    [("/assets/", "/sub/assets/favicon.ico"), ("https://cdn.example.com/", "https://cdn.example.com/favicon.ico")],
)
def test_names_beside_a_mount_keep_its_urls_right(asset_tree: Path, client: Client, url: str, expected: str) -> None:
    """Starlette makes the names inside a Mount absolute; the names route answers before it."""
    store = store_of(asset_tree, url)
    app = Starlette(routes=[store.names("/sub"), Mount("/sub", routes=[*store.routes, page()])])
    assert client(app).get("/sub/").text == expected


def test_a_host_keeps_its_mount_to_itself(asset_tree: Path, client: Client) -> None:
    app = Starlette(routes=store_of(asset_tree, host="static.example.com").routes)
    assert client(app, "http://static.example.com").get("/assets/favicon.ico").status_code == 200
    assert client(app, "http://www.example.com").get("/assets/favicon.ico").status_code == 404


@pytest.mark.parametrize("url", ["https://cdn.example.com/", "https://cdn.example.com/static/"])
def test_origin_pull_is_answered_at_the_cdns_path_and_at_the_origins(
    asset_tree: Path, client: Client, url: str
) -> None:
    """The CDN requests from the origin the very path that the browser requested."""
    store = AssetStore()
    store.static(url, root=asset_tree, name="assets")
    app = Starlette(routes=[*store.routes, Route("/", lambda request: PlainTextResponse("home"))])
    served = client(app)
    path = store.url_for("assets", file="css/app.css").removeprefix("https://cdn.example.com")
    assert served.get(path).content == (asset_tree / "css/app.css").read_bytes()
    assert served.get("/assets/css/app.css").content == (asset_tree / "css/app.css").read_bytes()
    assert served.get("/").text == "home"


def test_a_mount_at_the_root_shadows_no_other_route(asset_tree: Path, client: Client) -> None:
    own: list[BaseRoute] = [Route("/robots.txt", lambda request: PlainTextResponse("the application's own"))]
    served = client(Starlette(routes=[*store_of(asset_tree, "https://cdn.example.com/").routes, *own]))
    assert served.get("/robots.txt").text == "the application's own"
    assert served.get("/favicon.ico").content == (asset_tree / "favicon.ico").read_bytes()
    assert served.get("/no-such-page").headers.get("cache-control") is None, "the application's own 404"
    assert served.get("/no-such-page.html").headers.get("cache-control") is None
    assert served.get("/css/nothing.css").headers["cache-control"] == "no-store", "no CDN may keep this one"
    assert served.get(f"/css/nothing-{'0' * 64}.css").headers["cache-control"] == "no-store"


def test_root_files_are_redirected_into_the_mount(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree)
    store.root_files("favicon.ico", "robots.txt")
    served = client(Starlette(routes=store.routes), root_path="/below")
    answer = served.get("/below/favicon.ico")
    assert (answer.status_code, answer.headers["location"]) == (301, "/below/assets/favicon.ico")
    assert served.get(answer.headers["location"]).content == (asset_tree / "favicon.ico").read_bytes()
    assert served.post("/below/robots.txt").status_code == 405


def test_root_files_never_lead_a_cdn_back_to_itself(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree, "https://cdn.example.com/")
    store.root_files("favicon.ico")
    served = client(Starlette(routes=store.routes))
    answer = served.get("/favicon.ico")
    while answer.status_code == 301:
        assert answer.headers["location"].startswith("/assets/")
        answer = served.get(answer.headers["location"])
    assert answer.content == (asset_tree / "favicon.ico").read_bytes()


def test_a_mount_added_after_the_application_was_made_is_served(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree)
    served = client(Starlette(routes=store.routes))
    store.static("/late/", root=asset_tree)
    assert served.get("/late/favicon.ico").status_code == 200


def test_a_wrapped_application_gets_what_is_no_asset(asset_tree: Path, client: Client) -> None:
    served = client(
        store_of(asset_tree).wrap(Starlette(routes=[Route("/", lambda request: PlainTextResponse("home"))]))
    )
    assert served.get("/").text == "home"
    assert served.get("/assets/favicon.ico").content == (asset_tree / "favicon.ico").read_bytes()


def test_a_wrapped_application_has_the_root_files_too(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree)
    store.root_files("favicon.ico")
    served = client(store.wrap(Starlette()))
    assert served.get("/favicon.ico").headers["location"] == "/assets/favicon.ico"
    assert served.post("/favicon.ico").status_code == 405


def test_the_lifespan_is_not_required_and_does_no_harm(asset_tree: Path) -> None:
    store = store_of(asset_tree)
    with TestClient(Starlette(routes=store.routes, lifespan=store.lifespan)) as served:
        assert served.get("/assets/favicon.ico").status_code == 200


def test_a_bucket_at_the_root_is_asked_for_names_not_known_yet_and_other_routes_are_left_alone(
    moto_bucket: S3Bucket,
) -> None:
    moto_bucket.put({"robots.txt": b"one from the bucket", "about": b"never seen"})
    options = {name: value for name, value in moto_bucket.server.options.items() if value is not None}
    store = AssetStore({})
    store.static("https://cdn.example.com/", root=moto_bucket.url, storage_options=options, name="assets", index="lazy")
    app = Starlette(
        routes=[*store.routes, Route("/about", lambda request: PlainTextResponse("the page"))], lifespan=store.lifespan
    )
    with TestClient(app) as client:
        assert client.get("/robots.txt").text == "one from the bucket"
        assert client.get("/about").text == "the page"
        assert client.get("/nothing").status_code == 404


def test_routes_can_be_listed(asset_tree: Path) -> None:
    store = store_of(asset_tree)
    store.static("https://cdn.example.com/media/", root=asset_tree, name="media", origin_path="/media/")
    store.static("/", root=asset_tree)
    store.root_files("favicon.ico")
    app = Starlette(routes=[store.names("/sub"), *store.routes])
    assert [(route.path, route.name) for route in app.routes] == [  # type: ignore[attr-defined]
        ("/sub/{file:path}", None),
        ("/assets/{file:path}", "assets"),
        ("/media/{file:path}", "media"),
        ("/{file:path}", None),
        ("/favicon.ico", "root:favicon.ico"),
    ]
    assert all(route.methods == {"GET", "HEAD", "OPTIONS"} for route in app.routes[1:-1])  # type: ignore[attr-defined]


def test_the_longest_prefix_wins_whatever_the_order(asset_tree: Path, tmp_path: Path, client: Client) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_text("inner")
    store = store_of(asset_tree)
    store.static("/assets/inner/", root=tmp_path / "inner", name="inner")
    app = Starlette(routes=store.routes)
    assert client(app).get("/assets/inner/a.txt").text == "inner"
    assert client(app).get("/assets/favicon.ico").status_code == 200


def test_a_mount_has_a_name_below_the_mount_that_holds_it(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree, "/static/")
    app = Starlette(routes=[page()])
    app.mount("/static", store["assets"])
    assert client(app).get("/").text == "http://testserver/static/favicon.ico"
    assert app.url_path_for("assets", path="/favicon.ico") == "/static/favicon.ico"
    with pytest.raises(NoMatchFound):
        app.url_path_for("other", file="favicon.ico")
    named = Starlette(routes=[Mount("/static", store["assets"], name="static")])
    assert named.url_path_for("static:assets", file="favicon.ico") == "/static/favicon.ico"


def test_a_mounted_application_honours_the_root_path(asset_tree: Path, client: Client) -> None:
    app = Starlette(routes=[Mount("/static", store_of(asset_tree, "/static/")["assets"]), page()])
    served = client(app, root_path="/below")
    assert served.get("/below/static/favicon.ico").status_code == 200
    assert served.get("/below/").text == "http://testserver/below/static/favicon.ico"


def test_a_mount_that_does_not_exist_is_no_application(asset_tree: Path) -> None:
    with pytest.raises(MountNotFound, match="assets"):
        store_of(asset_tree)["asset"]


def test_a_mount_served_elsewhere_than_its_urls_say_is_reported_once(
    asset_tree: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    served = client(Starlette(routes=[Mount("/elsewhere", store_of(asset_tree)["assets"])]))
    for _ in range(2):
        assert served.get("/elsewhere/favicon.ico").status_code == 200
    assert [record.message for record in caplog.records] == [
        "mount 'assets' is served at '/elsewhere/', and its URLs say '/assets/'; give static() url='/elsewhere/'"
    ]


def test_urls_of_another_host_cannot_go_through_a_mount(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree, "https://cdn.example.com/")
    app = Starlette(routes=[Mount("/static", store["assets"]), page()])
    with pytest.raises(SettingsError, match=r"assets\.names\(''\)"):
        client(app).get("/")
    right = Starlette(routes=[store.names(""), Mount("/static", store["assets"]), page()])
    assert client(right).get("/").text == "https://cdn.example.com/favicon.ico"


def test_routes_with_another_hosts_urls_inside_a_mount_are_reported_once(
    asset_tree: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    served = client(
        Starlette(routes=[Mount("/inside", routes=store_of(asset_tree, "https://cdn.example.com/").routes)])
    )
    for _ in range(2):
        assert served.get("/inside/assets/favicon.ico").status_code == 200
    (warning,) = caplog.records
    assert "assets.names('/inside')" in warning.message


def test_a_websocket_is_none_of_ours(asset_tree: Path, client: Client) -> None:
    store = store_of(asset_tree)
    for app in (Starlette(routes=store.routes), store["assets"]):
        with pytest.raises(WebSocketDisconnect), client(app).websocket_connect("/assets/favicon.ico"):
            pass


def test_a_bucket_at_the_root_is_read_before_a_catch_all_gets_the_request(moto_bucket: S3Bucket) -> None:
    """While its names are not known yet."""
    moto_bucket.put({"app.js": b"js"})
    options = {name: value for name, value in moto_bucket.server.options.items() if value is not None}
    store = AssetStore({})
    store.static("/", root=moto_bucket.url, storage_options=options, name="assets", index="lazy")
    everything = Route("/{path:path}", lambda request: PlainTextResponse(f"page for {request.path_params['path']}"))
    for app in (Starlette(routes=[*store.routes, everything]), store.wrap(Starlette(routes=[everything]))):
        with TestClient(app) as client:
            assert client.get("/app.js").text == "js"
            assert client.get("/about").text == "page for about"


def test_a_missing_file_of_the_mounts_own_media_types_is_the_mounts_at_the_root(
    asset_tree: Path, client: Client
) -> None:
    """A CDN that pulls from the root must not keep the application's 404 page for it."""
    store = store_of(asset_tree, "/", media_types={".own": "application/x-own"})
    served = client(Starlette(routes=store.routes))
    assert served.get("/no-such.own").headers["cache-control"] == "no-store"
    assert "cache-control" not in served.get("/no-such.other").headers
