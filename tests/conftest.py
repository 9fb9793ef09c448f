"""Fixtures of every test, and how tests are spread over processes; servers and programs are in ``support/servers``."""

from __future__ import annotations

import functools
import json
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from saved import saved_a_while_ago

# How long an example takes says nothing about a promise: workers share the cores of the machine.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

pytest_plugins = [
    "assetstore.testing",
    "servers.programs",
    "servers.processes",
    "servers.s3",
    "servers.emulators",
    "storage_table",
    "servers.fault_proxy",
    "servers.misbehaving",
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


#: Files whose tests take longest, so that no worker is left alone with one of them at the end.
LONGEST = (
    "publish/test_publish_s3.py",
    "http/test_as_static_files.py",
    "http/test_strangers.py",
    "soak/test_soak.py",
    "http/test_servers.py",
    "browser/",
    "examples/test_demo.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one group run in one process of pytest-xdist (``--dist loadgroup``), the longest groups first.

    LocalStack and Swift start once a run. Tests that share a fixture of module scope stay together, so that what it
    starts is started once; any other test runs on whichever worker is free.
    """
    groups = {item.nodeid: group for item in items if (group := _group(item))}
    items.sort(key=lambda item: _start_order(item, groups))
    if worker := getattr(config, "workerinput", None):
        fresh = Path(f"{worker['groups']}.{worker['workerid']}")
        fresh.write_text(json.dumps(groups), "utf-8")
        fresh.replace(worker["groups"])


# pytest-xdist 3.8 marks groups in a private attribute that pytest 9.2 no longer reads, so its own ``loadgroup`` keeps
# nothing together there. Each worker leaves its groups, which are the same in all of them, in a file for the scheduler.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["groups"] = str(_groups_file(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
        groups: dict[str, str] | None = None

        def _split_scope(self, nodeid: str) -> str:
            if self.groups is None:
                self.groups = json.loads(_groups_file(config).read_text("utf-8"))
            return self.groups.get(nodeid, nodeid)

    config.option.loadscopereorder = False  # the order is ours, the longest first
    return ByGroup(config, log)


@functools.cache
def _groups_file(config: pytest.Config) -> Path:
    """Where the workers of this run leave their groups; gone when the run ends."""
    folder = tempfile.TemporaryDirectory(prefix="assetstore-groups-")
    config.add_cleanup(folder.cleanup)
    return Path(folder.name) / "groups.json"


def _group(item: pytest.Item) -> str | None:
    if item.get_closest_marker("localstack"):
        return "localstack"
    if "swift" in item.nodeid.lower() or "swift_server" in getattr(item, "fixturenames", ()):
        return "swift"
    definitions = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    shared = sorted(name for name, found in definitions.items() if any(each.scope == "module" for each in found))
    if not shared:
        return None
    params = getattr(item, "callspec", None)
    values = [str(params.indices[name]) for name in shared if name in params.indices] if params else []
    return "-".join([item.location[0], *values])


def _start_order(item: pytest.Item, groups: Mapping[str, str]) -> int:
    if groups.get(item.nodeid) in {"localstack", "swift"}:
        return 0
    return 1 if item.location[0].removeprefix("tests/").startswith(LONGEST) else 2


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """pytest's own, without the records of threads that belong to the store of an earlier test.

    Such a thread ends when its store is collected, which may be later.
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
    saved_a_while_ago(root)
    return root


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine() -> Iterator[None]:
    """No credentials and no settings of the environment reach a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [
            name
            for name in os.environ
            if name.startswith(
                ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "ASSETS_", "STATIC_X_", "IMPORT_MAP")
            )
        ]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def soak_seconds() -> float:
    """How long each soak test lasts."""
    return float(os.environ.get("SOAK_SECONDS", "3"))
