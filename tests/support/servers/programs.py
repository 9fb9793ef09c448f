"""Programs that tests need, and what happens to a test whose program is not on this machine.

Locally it is skipped and says which program is missing; under ``CI=true`` it fails, so that a
skip cannot hide there.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[3]

#: Where servers are kept that an ordinary user does not have on the PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

#: Programs that go by several names, or that are no command; the first that exists is taken.
PLACES = {
    "apache": ("apache2", "httpd"),
    "mod_xsendfile": ("/usr/lib/apache2/modules/mod_xsendfile.so", "/usr/lib64/httpd/modules/mod_xsendfile.so"),
    "varnish": ("varnishd",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "mkdocs": (str(PROJECT / ".venv-docs/axe.min.js"),),
    "localstack": (str(PROJECT / ".venv-localstack/.ready"),),
    "swift": (str(PROJECT / ".venv-swift/.ready"),),
    "azurite": (str(PROJECT / ".venv-azurite/node_modules/azurite/dist/src/blob/main.js"),),
    "node": ("node", "nodejs"),
    "esbuild": (str(PROJECT / ".venv-npm/node_modules/.bin/esbuild"),),
    "rollup": (str(PROJECT / ".venv-npm/node_modules/.bin/rollup"),),
    "parcel": (str(PROJECT / ".venv-npm/node_modules/.bin/parcel"),),
    "webpack": (str(PROJECT / ".venv-npm/node_modules/webpack/lib/index.js"),),
    "pyright": (str(PROJECT / ".venv-npm/node_modules/pyright/index.js"),),
}

#: What to type to get one that is not a Debian package of the same name.
HOW_TO_GET = {
    "apache": "apt-get install apache2",
    "aria2c": "apt-get install aria2",
    "mod_xsendfile": "apt-get install libapache2-mod-xsendfile",
    "localstack": "localstack/run --install",
    "swift": "make servers",
    "mkdocs": "make docs",
    "azurite": "make servers",
    "node": "apt-get install nodejs",
    "esbuild": "make servers",
    "rollup": "make servers",
    "parcel": "make servers",
    "webpack": "make servers",
    "pyright": "make servers",
}


def find_program(name: str) -> Path | None:
    """Where the program is, or ``None``."""
    found = (shutil.which(place, path=SEARCH_PATH) or _file(place) for place in PLACES.get(name, (name,)))
    return next((Path(each) for each in found if each), None)


def _file(place: str) -> str | None:
    return place if Path(place).is_file() else None


def give_up(name: str, how: str) -> None:
    """Skip the test that asks and say what it needs; under ``CI=true`` fail it."""
    reason = f"needs {name}, which is not on this machine; {how}"
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need_program(name: str) -> Path:
    """Where the program is; else the test that asks skips, or fails under ``CI=true``."""
    found = find_program(name)
    if found is None:
        give_up(name, HOW_TO_GET.get(name, f"apt-get install {name}"))
        raise AssertionError("unreachable")
    return found


def need_package(name: str) -> ModuleType:
    """The Python module; else the test that asks skips, or fails under ``CI=true``."""
    try:
        return importlib.import_module(name)
    except ImportError:
        give_up(name, f"pip install {name}")
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("program"):
        for name in marker.args:
            need_program(name)
    if item.get_closest_marker("localstack"):
        need_program("localstack")


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """``program("nginx")`` is its path, or the end of the test."""
    return need_program


@pytest.fixture(scope="session")
def package() -> Callable[[str], ModuleType]:
    """``package("granian")`` is the module, or the end of the test."""
    return need_package
