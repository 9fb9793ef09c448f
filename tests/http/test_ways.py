"""Assets are served and named in whatever way they were put into an application, through real servers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from asgi.tree import STYLE, plant, put
from asgi.wire import WireReply, exchange
from servers.processes import ASGI_SERVERS, Process, ProcessStarter

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module", params=sorted(ASGI_SERVERS))
def served(
    request: pytest.FixtureRequest, start_module_process: ProcessStarter, tmp_path_factory: pytest.TempPathFactory
) -> Process:
    root = plant(tmp_path_factory.mktemp("ways") / "tree")
    put(root, "robots.txt", b"robots")
    put(root, ".well-known/security.txt", b"Contact: x")
    return start_module_process.asgi(
        "asgi.ways:app", server=request.param, folder=SUPPORT, env={"SERVED_ROOT": str(root)}
    )


def get(served: Process, way: str, target: str) -> WireReply:
    """The response for *target*, a path or an absolute URL whose host does not count."""
    path = target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]
    return exchange(served.port, f"GET {path} HTTP/1.1\r\nHost: {way}\r\nConnection: close\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("way", "prefix", "page"),
    [
        pytest.param("routes", "/assets/", "/name", id="Starlette(routes=assets.routes)"),
        pytest.param("fastapi", "/assets/", "/name", id="FastAPI(routes=assets.routes)"),
        pytest.param("included", "/assets/", "/name", id="include_router"),
        pytest.param("included-below", "/api/assets/", "/name", id="include_router with a prefix"),
        pytest.param("mounted", "/static/", "/name", id="app.mount in Starlette"),
        pytest.param("mounted-in-fastapi", "/static/", "/name", id="app.mount in FastAPI"),
        pytest.param("extended", "/assets/", "/name", id="routes.extend"),
        pytest.param("below", "/sub/assets/", "/sub/name", id="inside a Mount"),
        pytest.param("below-at-root", "/sub/", "/sub/name", id="at the root of a Mount, before a catch-all"),
        pytest.param("at-root", "/", "/name", id="at the root, before a catch-all"),
    ],
)
def test_each_way_serves_and_names(served: Process, way: str, prefix: str, page: str) -> None:
    reply = get(served, way, f"{prefix}css/app.css")
    assert (reply.status, reply.body) == (200, STYLE), served.output
    name = get(served, way, page).body.decode()
    assert name.startswith((prefix, f"http://{way}{prefix}")), name
    named = get(served, way, name)
    assert named.body == STYLE
    assert "immutable" in named.headers["cache-control"]
    missing = get(served, way, f"{prefix}css/no-such-{'0' * 64}.css")
    assert (missing.status, missing.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(("way", "prefix"), [("at-root", ""), ("wrapped", ""), ("below-at-root", "/sub")])
def test_a_mount_at_the_root_answers_for_its_files_and_the_application_for_the_rest(
    served: Process, way: str, prefix: str
) -> None:
    assert get(served, way, f"{prefix}/robots.txt").body == b"robots"
    assert get(served, way, f"{prefix}/css/app.css").body == STYLE
    assert get(served, way, f"{prefix}/.well-known/security.txt").body == b"Contact: x"
    if not prefix:
        for path in ("/", "/about", "/no-such.css", "/css"):
            assert b"the application's own" in get(served, way, path).body


def test_a_mount_is_an_application_by_itself(served: Process) -> None:
    assert get(served, "alone", "/css/app.css").body == STYLE
    assert get(served, "alone", "/no-such.css").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["static.example.com", "static.example.com.", "STATIC.example.com.:8000"])
def test_a_host_may_end_in_a_dot(served: Process, host: str) -> None:
    reply = get(served, host.lower(), "/assets/css/app.css")
    assert (reply.status, reply.body) == (200, STYLE), host


@pytest.mark.program("curl")
@pytest.mark.parametrize(("server", "args"), [("hypercorn", []), ("granian", ["--http", "2"])])
def test_http_2_names_the_host_as_authority(
    server: str, args: list[str], start_process: ProcessStarter, tmp_path: Path
) -> None:
    """RFC 9113 section 8.3.1: there need be no Host."""
    env = {"SERVED_ROOT": str(plant(tmp_path / "tree"))}
    process = start_process.asgi("asgi.ways:app", server=server, folder=SUPPORT, env=env, args=args)
    url = f"http://static.example.com:{process.port}/assets/css/app.css"
    address = f"static.example.com:{process.port}:127.0.0.1"
    command = ["curl", "-sS", "--fail", "--http2-prior-knowledge", "--resolve", address, url]
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == STYLE
