"""The import map as a file, and a check for a pipeline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = """
from assetstore import AssetStore
assets = AssetStore(IMPORT_MAP={"imports": {"leaf": "js/leaf.js"}, "entries": ["js/app.js"]})
assets.static("/assets/", root="assets", name="assets", fingerprint="content")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "assets/js").mkdir(parents=True)
    (tmp_path / "assets/js/app.js").write_text("import './leaf.js'")
    (tmp_path / "assets/js/leaf.js").write_text("")
    return tmp_path


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    project = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "assetstore", "importmap", "--app", "shop:assets", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": project})


def test_it_prints_the_map(shop: Path) -> None:
    done = run(shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)["imports"]) == {"leaf", "/assets/js/leaf.js"}


def test_it_writes_a_file_that_the_hash_is_of(shop: Path) -> None:
    assert run(shop, "--output", "importmap.json").returncode == 0
    assert run(shop).stdout == (shop / "importmap.json").read_text()
    assert run(shop, "--csp-hash").stdout.startswith("'sha256-")


def test_a_check_passes(shop: Path) -> None:
    done = run(shop, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "there" in done.stdout


def test_a_check_fails_with_file_and_line(shop: Path) -> None:
    (shop / "assets/js/app.js").write_text("import './leaf.js'\nimport 'turbo'\nimport './gone.js'")
    done = run(shop, "--check")
    assert done.returncode == 1
    assert "js/app.js:2:8: import of 'turbo'" in done.stderr
    assert "js/app.js:3:8: import of './gone.js'" in done.stderr
    assert done.stdout == "2 faults\n"


def test_every_form_is_json_where_that_is_wanted(shop: Path) -> None:
    (shop / "assets/js/app.js").write_text("import './gone.js'")
    assert json.loads(run(shop, "--json").stdout)["imports"]
    assert json.loads(run(shop, "--csp-hash", "--json").stdout)["csp_hash"].startswith("'sha256-")
    done = run(shop, "--check", "--json")
    [fault] = json.loads(done.stdout)["faults"]
    assert "js/app.js:1:8: import of './gone.js'" in fault
    assert (done.returncode, done.stderr) == (1, "")


def test_a_file_that_cannot_be_written_is_one_clear_line(shop: Path) -> None:
    done = run(shop, "--output", "none/importmap.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--output='none/importmap.json' cannot be written" in done.stderr


def test_it_asks_for_the_store(shop: Path) -> None:
    (shop / "shop.py").write_text("assets = 7")
    done = run(shop)
    assert done.returncode != 0
    assert "name the AssetStore" in done.stderr
    assert "Traceback" not in done.stderr
