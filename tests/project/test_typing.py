"""Type checkers see what users wrote wrong, and find nothing in what is right: ``mypy --strict`` and pyright."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import assetstore
from servers.programs import PROJECT, need_program

#: What a line with a mistake has at its end.
WRONG = "# wrong"
USES = """
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request

from assetstore import (
    AssetStore, AssetStoreError, Backend, CacheSettings, FileStat, Fingerprinter, Health, Index, Manifest, Mount,
    MountApplication, MountOptions, MountTable, Page, Pages, Published, RemoteLimits, ResolvedImportMap, SettingValues,
    Settings, WritableBackend,
)


class OfTheBuild:
    reads = False

    def of(self, stat: FileStat, backend: Backend) -> str | None:
        return None


settings: SettingValues = {"ASSETS_URL": "/assets/"}
assets = AssetStore(**settings)
strict = AssetStore({"ASSETS_URL": "/"}, ASSETS_STRICT=True, IMPORT_MAP={"imports": {"app": "js/app.js"}})
own: Fingerprinter = OfTheBuild()
options: MountOptions = {"root": "assets", "name": "first"}
mount: Mount = assets.static(**options)
assets.static("media/", root="s3://bucket", name="media", cache=CacheSettings(), limits=RemoteLimits(), index=Index())
assets.static("b/", root=["a", "b"], fingerprint="content", fingerprint_length=16, references="rewrite")
assets.static("c/", root="package:static", fingerprint=own, immutable=["vite", "x/**"], delivery="redirect")
application: MountApplication = assets["first"]
app = Starlette(routes=[*assets.routes], lifespan=assets.lifespan)
wrapped = assets.wrap(assets.rewrite(app))
table: MountTable = assets.mounts
read: Settings = assets.settings
pages: Pages = assets.pages
resolved: ResolvedImportMap = assets.pages.importmap()
health: Health = assets.health()


def page(request: Request) -> Page:
    return assets.page(request, nonce="n")


def publish(to: WritableBackend) -> list[Published]:
    try:
        return assets.publish(to)
    except AssetStoreError as error:
        raise SystemExit(str(error)) from error


def names(manifest: Manifest) -> Mapping[str, object]:
    return manifest.entries


url: str = assets.url_for("media", file="a.css", request=None)

assets.static("d/", root="d", fingerprint="nonsense")  # wrong
assets.static("d/", root="d", references="nonsense")  # wrong
assets.static("d/", root="d", delivery="nonsense")  # wrong
assets.static("d/", root="d", index="nonsense")  # wrong
assets.static("d/", root="d", fingerprint_length="16")  # wrong
assets.static("d/", root="d", max_age="3600")  # wrong
assets.static("d/", root="d", no_such_option=True)  # wrong
assets.static("d/")  # wrong
AssetStore(ASSETS_URI="/assets/")  # wrong
AssetStore(ASSETS_STRICT="yes")  # wrong
assets.url_for("media")  # wrong
assets.url_for("media", file=3)  # wrong
assets.no_such_method()  # wrong
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "uses.py"
    file.write_text(USES)
    return file


def wrong_lines() -> set[int]:
    return {number for number, line in enumerate(USES.splitlines(), 1) if line.endswith(WRONG)}


def test_mypy_sees_what_is_wrong_and_nothing_else(program: Path, tmp_path: Path) -> None:
    options = ["--strict", "--no-error-summary", "--no-color-output", "--config-file=", f"--cache-dir={tmp_path}/cache"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, program.name],
        cwd=tmp_path, env={"MYPYPATH": str(PROJECT)}, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    found = {int(match[2]) for match in re.finditer(r"^(uses\.py):(\d+): error:", checked.stdout, re.MULTILINE)}
    assert found == wrong_lines(), checked.stdout + checked.stderr


@pytest.mark.program("pyright", "node")
def test_pyright_sees_what_is_wrong_and_nothing_else(program: Path, tmp_path: Path) -> None:
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(PROJECT)], "reportMissingTypeStubs": False})
    )
    command = ["node", need_program("pyright"), "--outputjson", "--pythonpath", sys.executable, program.name]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    reports = json.loads(checked.stdout)["generalDiagnostics"]
    found = {each["range"]["start"]["line"] + 1 for each in reports if each["severity"] == "error"}
    assert found == wrong_lines(), checked.stdout


def test_every_class_of_a_public_signature_can_be_imported_from_the_package() -> None:
    tree = ast.parse((PROJECT / "assetstore/store.py").read_text())
    ours = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("assetstore.")
        for alias in node.names
    }
    store = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "AssetStore")
    signatures = [
        node
        for node in store.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (not node.name.startswith("_") or node.name.endswith("__"))
    ]
    named = {
        each.id
        for node in signatures
        for annotation in [
            node.returns,
            *(argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)),
        ]
        if annotation is not None
        for each in ast.walk(annotation)
        if isinstance(each, ast.Name)
    }
    theirs = {"Markup"}  # of markupsafe
    internal = {"ResponseCache"}  # for the servers of assetstore serve
    assert (named & ours) - theirs - internal <= set(assetstore.__all__)
