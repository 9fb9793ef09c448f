"""Starlette's own tests of StaticFiles, read from its source distribution, pass through a thin adapter.

Each exception stands below with its reason; a test that is listed and passes is an error too, so
the list cannot outlive its reasons.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from servers.programs import PROJECT, give_up

INSIDES = "it looks at StaticFiles' own attributes or replaces its methods"
MISSING_ROOT = "a root that is missing is refused at wiring; with must_exist=False its files are 404s, not errors"
NOT_RAISED = "a missing file is a 404 with Cache-Control: no-store, not an exception that an application may answer"

EXCEPTIONS = {
    "test_staticfiles_post": "Allow also names OPTIONS, since preflights are answered",
    "test_staticfiles_configured_with_missing_directory": MISSING_ROOT,
    "test_staticfiles_configured_with_file_instead_of_directory": MISSING_ROOT,
    "test_staticfiles_config_check_occurs_only_once": INSIDES,
    "test_staticfiles_unhandled_os_error_returns_500": INSIDES,
    "test_staticfiles_html_without_404": NOT_RAISED,
    "test_staticfiles_html_only_files": NOT_RAISED,
    "test_staticfiles_cache_invalidation_for_deleted_file_html_mode": "a deleted file is noticed within a second, not at once",
    "test_staticfiles_with_invalid_dir_permissions_returns_401": "what cannot be read is a 404 and a line in the log: no login would help",
}


@pytest.fixture(scope="module")
def distribution(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Starlette's source tree of the version that is installed; fetched once and kept in pytest's cache, if it has one."""
    name = f"starlette-{version('starlette')}"
    cache = getattr(request.config, "cache", None)  # -p no:cacheprovider leaves it out
    kept = tmp_path_factory.mktemp("sdist") if cache is None else Path(cache.mkdir("sdist"))
    archive = kept / f"{name}.tar.gz"
    if not archive.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "starlette"]
        fetched = subprocess.run(
            [*command, "--dest", kept, name.replace("-", "==")], capture_output=True, text=True, timeout=100
        )
        if fetched.returncode != 0:
            give_up(f"the source distribution of {name}", "connect to a package index, or put it into pytest's cache")
    if not (kept / name).exists():
        with tarfile.open(archive) as packed:
            # Pythons before 3.11.4 know no filter, and those from 3.12 on warn where there is none.
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            packed.extractall(kept)
    return kept / name


@pytest.fixture(scope="module")
def results(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Whether each of the tests passed, by its name with parameters."""
    report = tmp_path_factory.mktemp("starlette") / "report.xml"
    options = ["-p", "asgi.as_static_files", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "-q"]
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "tests/support")])
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--junitxml", report, "tests/test_staticfiles.py"],
        cwd=distribution,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        timeout=100,
    )
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {case.attrib["name"]: case.find("failure") is None and case.find("error") is None for case in cases}


def test_every_test_of_starlette_passes_or_is_listed(results: dict[str, bool]) -> None:
    failed = {name for name, passed in results.items() if not passed}
    assert {name for name in failed if name.partition("[")[0] not in EXCEPTIONS} == set()


@pytest.mark.skipif(
    f"starlette=={version('starlette')}" not in (PROJECT / "requirements/dev.txt").read_text(),
    reason="the list is that of the pinned Starlette",
)
def test_no_exception_outlives_its_reason(results: dict[str, bool]) -> None:
    passed = {name.partition("[")[0] for name, passed in results.items() if passed}
    assert passed & set(EXCEPTIONS) == set()
    assert set(EXCEPTIONS) <= {name.partition("[")[0] for name in results}


def test_both_event_loops_were_tried(results: dict[str, bool]) -> None:
    assert results["test_staticfiles[asyncio]"]
    assert results["test_staticfiles[trio]"]
