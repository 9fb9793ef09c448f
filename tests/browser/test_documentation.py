"""The documentation as a reader sees it, at the width of a desktop and of a phone: no console error, diagrams drawn,
nothing wider than the screen, and no serious fault that axe finds."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axe import serious_faults
from servers.processes import PROJECT
from servers.programs import need_program

#: Paths on the site: `how-to/fastapi/` for `docs/how-to/fastapi.md`.
PAGES = [
    page.relative_to(PROJECT / "docs").as_posix().removesuffix("index.md").replace(".md", "/")
    for page in sorted((PROJECT / "docs").rglob("*.md"))
]


#: The page on which code in colours is looked at.
COLOURED = "how-to/fastapi/"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def documentation() -> Iterator[str]:
    """The URL of the site, as `make docs` builds it."""
    need_program("mkdocs")
    done = subprocess.run(["make", "-s", "docs"], cwd=PROJECT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    built = PROJECT / "site"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(built)))
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_every_page_reads_well(width: int, height: int, documentation: str, chromium: Any) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": height})
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    # What is under way when the next page is opened is aborted: that is no fault.
    tab.on("requestfailed", lambda request: "ABORTED" in (request.failure or "") or said.append(request.url))
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
        # Every piece of code in colours costs axe some milliseconds, and all have those of the one page.
        if serious := serious_faults(tab, () if page == COLOURED else (".highlight",)):
            faults[page] = serious
    tab.close()
    assert (faults, said) == ({}, [])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("![a picture](gone.png)", "gone.png"),
        ("[a page](gone.md)", "gone.md"),
        ("[a section](#gone)", "#gone"),
        ("::: assetstore.no_such_name", "no_such_name"),
        ('--8<-- "gone.conf"', "gone.conf"),
    ],
)
def test_what_leads_nowhere_fails_the_build(wrong: str, said: str, tmp_path: Path) -> None:
    mkdocs = need_program("mkdocs").parent / "bin/mkdocs"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# One page\n\n{wrong}\n")
    settings = f"INHERIT: {PROJECT}/mkdocs.yml\nnav: [index.md]\nextra_css: []\nextra_javascript: []\n"
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = subprocess.run(
        [mkdocs, "build", "--strict"],
        cwd=tmp_path,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
