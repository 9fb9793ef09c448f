"""Every page of the documentation tried as a new user would: ``python -m fresh_docs [PAGE ...]``.

A page gets a new virtual environment in which nothing is installed but what the page says to install, with the wheel
of this checkout in the place of ``./assetstore``; then its files are written and its commands run, in an empty folder.
Needs an index of packages.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from documentation import blocks, installs, run_page, shell_in, tours
from servers.processes import PROJECT
from servers.s3 import S3Server, bucket_on

#: What a user has at the start; other pages may build on it.
CLONE = "./assetstore"


def main(names: list[str]) -> int:
    """Try the pages whose path holds one of *names*, or all; returns how many failed."""
    from moto.server import ThreadedMotoServer

    pages = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
    failed = 0
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with tempfile.TemporaryDirectory() as made:
        wheel = _wheel(Path(made))
        for page in pages:
            name = page.relative_to(PROJECT).as_posix()
            if names and not any(each in name for each in names):
                continue
            for tab in tours(page):
                began = time.monotonic()
                try:
                    _try(page, tab, wheel, S3Server("moto", f"http://{host}:{port}"))
                    said = "done"
                except (AssertionError, subprocess.CalledProcessError) as error:
                    failed += 1
                    said = f"FAILED: {error} {getattr(error, 'stderr', '') or ''}"
                print(f"{name} {tab}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    server.stop()
    return failed


def _wheel(folder: Path) -> Path:
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, PROJECT]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def _try(page: Path, tab: str, wheel: Path, server: S3Server) -> None:
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as made, bucket_on(server) as bucket:
        environment = Path(made) / "venv"
        _uv("venv", "-q", "--python", sys.executable, environment)
        for wanted in installs(text):
            packages = [each.replace(CLONE, str(wheel)) for each in wanted]
            _uv("pip", "install", "-q", "--python", environment, *packages)
        with shell_in(Path(made), bucket, environment) as shell:
            run_page([each for each in blocks(text) if each.tab in {"", tab}], shell)


def _uv(*argv: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *argv], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
