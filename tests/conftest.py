"""This module owns what every test may ask for; the servers and programs stand in ``support/servers``."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = [
    "assetstore.testing",
    "servers.programs",
    "servers.processes",
    "servers.s3",
    "servers.fault_proxy",
    "servers.threads",
    "servers.edges",
]

#: A small tree in which every file says which one it is.
ASSET_TREE = (
    "favicon.ico",
    "robots.txt",
    "LICENSE",
    "css/app.css",
    "js/app.min.js",
    "js/lib/util.js",
    "fonts/text.woff2",
    "images/a cat.jpg",
    "images/grüße.svg",
)


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """As pytest has it, without what threads say that a store of an earlier test has left behind.

    They end when that store is collected, which may be a little later.
    """
    earlier = {each for each in threading.enumerate() if each.name.startswith("assetstore-")}

    def is_of_this_test(record: logging.LogRecord) -> bool:
        return threading.current_thread() not in earlier

    caplog.handler.addFilter(is_of_this_test)
    yield caplog
    caplog.handler.removeFilter(is_of_this_test)


@pytest.fixture
def asset_tree(tmp_path: Path) -> Path:
    """A directory that holds :data:`ASSET_TREE`; each file's content is ``one from <its path>``."""
    root = tmp_path / "tree"
    for path in ASSET_TREE:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"one from {path}\n")
    return root


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine() -> Iterator[None]:
    """Neither the credentials nor the settings of whoever runs the tests reach them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "ASSETS_", "STATIC_X_", "IMPORT_MAP"))]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def soak_seconds() -> float:
    """How long each soak test lasts."""
    return float(os.environ.get("SOAK_SECONDS", "6"))
