"""Monitoring agents, themselves, see the assets' requests under one route for each mount, and disturb none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asgi.tree import plant
from asgi.wire import exchange, request_of, until
from servers.processes import ProcessStarter
from servers.programs import give_up

SUPPORT = Path(__file__).parents[1] / "support"
ROUTES = {"/assets/{file:path}", "/media/{file:path}", "/mounted/{file:path}"}
#: Agents that report an ASGI application below app.mount by the path of the Mount, as that of StaticFiles.
MOUNTED = {"/assets/{file:path}", "/media/{file:path}", "/mounted"}


@pytest.fixture(scope="module")
def prometheus_7(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the older release of an agent whose newer one is installed."""
    cache = getattr(request.config, "cache", None)  # -p no:cacheprovider leaves it out
    folder = tmp_path_factory.mktemp("agents") if cache is None else Path(cache.mkdir("agents"))
    if not (folder / "prometheus_fastapi_instrumentator").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        wanted = "prometheus-fastapi-instrumentator>=7,<8"
        if subprocess.run([*command, wanted], capture_output=True, timeout=100).returncode != 0:
            give_up(wanted, "connect to a package index, or put it into pytest's cache")
    return folder


@pytest.mark.parametrize(
    ("agent", "framework", "expected"),
    [
        pytest.param("elastic", "starlette", ROUTES, id="elastic-apm with Starlette"),
        pytest.param("elastic", "fastapi", ROUTES, id="elastic-apm with FastAPI"),
        pytest.param("prometheus", "fastapi", ROUTES, id="prometheus-fastapi-instrumentator"),
        pytest.param("prometheus", "starlette", ROUTES, id="prometheus-fastapi-instrumentator with Starlette"),
        pytest.param("opentelemetry", "starlette", MOUNTED, id="OpenTelemetry's Starlette instrumentation"),
        pytest.param("opentelemetry", "fastapi", MOUNTED, id="OpenTelemetry's FastAPI instrumentation"),
        pytest.param("opentelemetry_asgi", "starlette", set(), id="OpenTelemetry's ASGI instrumentation"),
        pytest.param("sentry", "starlette", MOUNTED, id="Sentry with Starlette"),
        pytest.param("sentry", "fastapi", ROUTES - {"/mounted/{file:path}"}, id="Sentry with FastAPI"),
    ],
)
def test_an_agent_sees_each_mount_as_one_route(
    agent: str, framework: str, expected: set[str], start_process: ProcessStarter, tmp_path: Path
) -> None:
    _check(agent, framework, expected, start_process, tmp_path)


def test_the_agent_of_the_release_before_does_too(
    prometheus_7: Path, start_process: ProcessStarter, tmp_path: Path
) -> None:
    """With Starlette: release 7 reads ``path`` of what FastAPI itself puts in place of an included router, which has none."""
    _check("prometheus", "starlette", ROUTES, start_process, tmp_path, str(prometheus_7))


def _check(
    agent: str, framework: str, expected: set[str], start: ProcessStarter, folder: Path, older: str = ""
) -> None:
    root = plant(folder / "tree")
    env = {"SERVED_ROOT": str(root), "AGENT": agent, "FRAMEWORK": framework, "AGENT_FOLDER": older}
    served = start.asgi("asgi.watched:app", server="uvicorn", folder=SUPPORT, env=env)
    for path in (b"/assets/data.bin", b"/media/data.bin", b"/mounted/data.bin"):
        assert exchange(served.port, request_of(path)).status == 200, served.output
        assert exchange(served.port, request_of(path + b"-not")).status == 404, served.output

    def seen() -> set[str]:
        return {name.removeprefix("GET ") for name in json.loads(exchange(served.port, request_of(b"/seen")).body)}

    until(lambda: expected <= seen())
    # Sentry's FastAPI integration names what is below app.mount by its URL, as it does with StaticFiles.
    assert {name for name in seen() - expected - {"/seen"} if "/mounted/data.bin" not in name} == set(), served.output
