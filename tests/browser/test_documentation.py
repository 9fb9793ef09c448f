"""The documentation as a reader sees it, at the width of a desktop and of a phone: no console error, diagrams drawn,
nothing wider than the screen, and no serious fault that axe finds."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from servers.processes import PROJECT
from servers.programs import need_program

#: Paths on the site: `how-to/fastapi/` for `docs/how-to/fastapi.md`.
PAGES = [
    page.relative_to(PROJECT / "docs").as_posix().removesuffix("index.md").replace(".md", "/")
    for page in sorted((PROJECT / "docs").rglob("*.md"))
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the site, built strictly."""
    programs = need_program("mkdocs").parent
    built = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [programs / "bin/mkdocs", "build", "--strict", "--quiet", "-d", built],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(built)))
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def axe() -> str:
    return (need_program("mkdocs").parent / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_every_page_reads_well(width: int, height: int, documentation: str, axe: str, chromium: Any) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": height})
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(request.url))
    tab.on("response", lambda response: said.append(response.url) if response.status >= 400 else None)
    faults: dict[str, Any] = {}
    for page in PAGES:
        tab.goto(f"{documentation}/{page}", wait_until="load")
        # Each `pre` of a diagram becomes a `div` once it is drawn.
        tab.wait_for_function("document.querySelectorAll('pre.mermaid').length === 0", timeout=20_000)
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults[page] = "wider than the screen"
        if width < 1000:  # axe judges the same elements on a phone; once is enough
            continue
        tab.evaluate(axe)
        found = tab.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa']})")["violations"]
        if serious := [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}
        ]:
            faults[page] = serious
    tab.close()
    assert (faults, said) == ({}, [])
