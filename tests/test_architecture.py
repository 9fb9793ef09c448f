"""The house stays a house: imports go down, each outside library has one door, async stays at the door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "assetstore"

# From the bottom up: a module may import only what stands on a line above its own, or beside it
# earlier on the same line.
ORDER = """
errors
paths  media_types  headers  compress  digest
references  stylesheets  scripts  recent  soon
urls  settings
backends.base  backends.readers  backends.held
backends.local_held  backends.local_reader  backends.local_root  backends.local  backends.filesystem_facts  backends.filesystem_errors
backends.filesystem_file  backends.filesystem
backends.http_errors  backends.http_facts  backends.ranged  backends.s3_errors  backends.s3_listing
backends.s3_signature  backends.s3_client
backends.s3_place  backends.s3_write  backends.s3_presign
backends.s3_exchange  backends.s3_session  backends.s3_body  backends.s3_reader  backends.s3  backends.cdn  backends
backends.cached.settings  backends.cached.counters  backends.cached.memory  backends.cached.versions
backends.cached.breaker  backends.cached.retries  backends.cached.steps  backends.cached.deadline  backends.cached.flight
backends.cached.attempts  backends.cached.guard  backends.cached.streams
backends.cached.disk_budget  backends.cached.disk  backends.cached.shelf
backends.cached.known  backends.cached.blocks  backends.cached.facts  backends.cached.reader  backends.cached
mtimes  fingerprint  sheets  rewriting  rewritten_reader  rewritten  resolver
background  refreshing  index_fingerprints  index_table  index_lazy  index  indexing
manifest  manifest_file  published  hosts  mounts  missing  namer  health  metrics
html  addresses  integrity  importmap  modules  named  mapped  pages  page  inspection
http.ranges  http.dates  http.conditional  http.encoding  http.request  http.policy  http.representation
http.answer  http.cache_status  http.offload
http.failures  http.complaints  http.versions  http.variants  http.lookup  http.selection  http.body
http.witness  http.remembered  http.memory  http.recall  http.asgi  http.rsgi  http.handler  http.routes
http.status  http
publish.crew  publish.lock  publish.ledger  publish.recipe  publish.renditions  publish.survey
publish.arrivals  publish.target  publish.plan  publish.progress  publish.bar  publish.recorder  publish.stages
publish.retention  publish.prune  publish.rollback  publish.destinations  publish
check.findings  check.client  check.judges  check.probes  check
wiring
store
integrations  integrations.jinja  integrations.jx  integrations.fastapi
testing
servers.listen  servers.tree  servers.uvicorn  servers.granian  servers
commands.base  commands.application  commands.storage
commands.serve  commands.url  commands.importmap  commands.target  commands.publish  commands.releases  commands.prune
commands.rollback  commands.check  commands
cli
__init__  __main__
""".split()

# Which modules may import an outside library. A package name stands for everything in it.
DOORS = {
    "fsspec": {"backends.filesystem"},
    "boto3": {"backends.s3_client"},
    "botocore": {"backends.s3_client", "backends.s3_errors"},
    "aiohttp": {"backends.s3_exchange", "backends.s3_session", "backends.s3_body"},
    "starlette": {"http.status", "http.handler", "http.routes", "store", "servers.tree"},
    "brotli": {"compress"},
    "zstandard": {"compress"},
    "rich": {"publish.bar"},
    "tinycss2": {"stylesheets"},
    "tree_sitter": {"scripts"},
    "tree_sitter_javascript": {"scripts"},
    "markupsafe": {"html"},
    "jinja2": {"integrations.jinja"},
    "jx": {"integrations.jx"},
    "fastapi": {"integrations.fastapi"},
    "uvicorn": {"servers.uvicorn"},
    "granian": {"servers.granian"},
}

# Sync below the door: only these may hold a coroutine.
ASYNC = {
    "backends.local_reader",
    "rewritten_reader",
    "backends.readers",
    "backends.cached.deadline",
    "backends.cached.flight",
    "backends.cached.attempts",
    "backends.cached.guard",
    "backends.cached.streams",
    "backends.cached.shelf",
    "backends.cached.blocks",
    "backends.cached.facts",
    "backends.cached.reader",
    "backends.s3_exchange",
    "backends.s3_session",
    "backends.s3_body",
    "backends.s3_reader",
    "http.recall",
    "http.asgi",
    "http.rsgi",
    "http.versions",
    "http.variants",
    "http.lookup",
    "http.selection",
    "http.body",
    "http.handler",
    "http.routes",
    "http.status",
    "store",
}


def modules() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.Module, known: set[str]) -> set[str]:
    ours = {each.removeprefix("assetstore.") for each in imports(tree) if each.startswith("assetstore.")}
    return ours & known


MODULES = modules()


def test_every_module_has_its_place_in_the_order() -> None:
    assert set(MODULES) - set(ORDER) - {"integrations"} == set()


@pytest.mark.parametrize("name", sorted(set(MODULES) & set(ORDER)))
def test_imports_only_go_down(name: str) -> None:
    upward = {each for each in own_imports(MODULES[name], set(MODULES)) if ORDER.index(each) > ORDER.index(name)}
    assert not upward, f"{name} imports {', '.join(sorted(upward))}, which stands above it"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_outside_library_has_one_door(name: str) -> None:
    outside = {each.partition(".")[0] for each in imports(MODULES[name])}
    strays = {library for library in outside & set(DOORS) if name not in DOORS[library]}
    assert not strays, f"{name} imports {', '.join(sorted(strays))}; the doors are {DOORS}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - ASYNC))
def test_coroutines_stay_at_the_door(name: str) -> None:
    found = [node.name for node in ast.walk(MODULES[name]) if isinstance(node, ast.AsyncFunctionDef)]
    assert not found, f"{name} defines async {', '.join(found)}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_room_says_what_it_owns(name: str) -> None:
    said = ast.get_docstring(MODULES[name]) or ""
    empty = not MODULES[name].body
    assert empty or name in {"__init__", "__main__"} or said.startswith("This module owns "), name


def test_no_package_under_tests_shadows_the_standard_library() -> None:
    assert not list(Path(__file__).parent.rglob("__init__.py"))


#: Rooms without a test of their own name.
NO_TEST = {
    "__main__": "one line, which test_cli runs",
    "backends.s3_place": "a protocol: there is nothing in it to run",
    "commands.base": "a protocol: there is nothing in it to run",
}


def test_each_room_has_a_test_of_its_own_name() -> None:
    rooms = {name for name in MODULES if not (PACKAGE / name.replace(".", "/")).is_dir()} - {"__init__"}
    tests = Path(__file__).parent
    without = {room for room in rooms if not _test_of(room, tests).exists()}
    assert without == set(NO_TEST), "write the test, or say here why there is none"


def _test_of(room: str, tests: Path) -> Path:
    folder, _, name = room.replace(".", "/").rpartition("/")
    return tests / folder / f"test_{name}.py"
