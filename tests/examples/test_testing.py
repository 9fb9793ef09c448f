"""The suite of ``examples/testing``, run as a user would: one application on disk, under mocks, on servers, on a CDN."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.s3 import S3Server

FOLDER = Path(__file__).parents[2] / "examples/testing"


def run(folder: Path, **environment: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error::ResourceWarning", "."]
    path = os.pathsep.join([str(folder), str(FOLDER.parents[1])])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_passes_without_a_change_of_the_application() -> None:
    assert "12 passed, 3 skipped" in run(FOLDER)


@pytest.mark.localstack
def test_it_passes_on_localstack(localstack_server: S3Server) -> None:
    assert "15 passed" in run(FOLDER, LOCALSTACK_URL=localstack_server.endpoint_url)
