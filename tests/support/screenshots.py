"""The pictures of the documentation, which `make docs` takes from the tutorial's own application."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from playwright.sync_api import sync_playwright

from documentation import blocks
from servers.processes import PROJECT, ProcessStarter
from servers.programs import need_program

IMAGES = PROJECT / "docs/images"


def main() -> None:
    """Save the page of the tutorial in both colours."""
    page = (PROJECT / "docs/tutorial/index.md").read_text("utf-8")
    application = next(each for each in blocks(page) if each.title == "shop.py")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made)
        sheet = folder / "assets/styles/app.css"
        sheet.parent.mkdir(parents=True)
        (folder / "shop.py").write_text(application.body)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), str(folder)])
        chromium = playwright.chromium.launch(executable_path=need_program("chromium"), args=["--no-sandbox"])
        with closing(ProcessStarter(folder)) as start:
            for colour in ("teal", "crimson"):
                sheet.write_text(f"body {{ color: {colour} }}")
                time.sleep(1.1)  # a saved file is seen within a second
                process = start.asgi("shop:app", folder=folder)
                tab = chromium.new_page(viewport={"width": 640, "height": 120})
                tab.goto(process.url)
                tab.screenshot(path=IMAGES / f"tutorial-{colour}.png")
        chromium.close()


if __name__ == "__main__":
    sys.exit(main())
