"""The wheel and the source distribution hold the package alone, install in a bare environment, and need no extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from servers.processes import PROJECT

#: Prints which optional libraries `import assetstore` and a local mount have imported, and the version.
PROBE = """
import json, sys
from assetstore import AssetStore, __version__
assets = AssetStore()
assets.static("/assets/", root=sys.argv[1], name="assets")
url = assets.url_for("assets", file="app.css")
optional = "aiohttp azure boto3 brotli fastapi google granian jinja2 jx rich urllib3 uvicorn zstandard".split()
print(json.dumps({"url": url, "extras": [name for name in optional if name in sys.modules], "version": __version__}))
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``wheel`` and ``sdist``, as `make build` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, PROJECT]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def test_the_wheel_is_the_package_alone(distributions: dict[str, Path]) -> None:
    names = zipfile.ZipFile(distributions["wheel"]).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"assetstore"}
    assert "assetstore/py.typed" in names
    package = {each.relative_to(PROJECT).as_posix() for each in (PROJECT / "assetstore").rglob("*.py")}
    assert package <= set(names)


def test_the_source_distribution_has_no_tests_and_no_benchmarks(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as packed:
        top = {name.split("/")[1] for name in packed.getnames() if "/" in name}
    allowed = {"assetstore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert top - allowed == set()
    assert top >= {"assetstore", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}


def test_the_description_renders_on_an_index(distributions: dict[str, Path]) -> None:
    argv = [sys.executable, "-m", "twine", "check", "--strict", *distributions.values()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, "it was not rendered"


def interpreter(version: str) -> str:
    """The Python of that version on this machine; else the test is skipped and says which."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        if candidate and subprocess.run([candidate, "-c", "import ensurepip"], capture_output=True).returncode == 0:
            return str(candidate)
    pytest.skip(f"needs Python {version}, which is not on this machine")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_in_a_bare_environment_and_needs_no_extra(
    kind: str, version: str, distributions: dict[str, Path], tmp_path: Path
) -> None:
    python = interpreter(version)
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def run(*argv: str | Path) -> str:
        done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(python, "-m", "venv", "--without-pip", tmp_path / "bare")
    bare = tmp_path / "bare/bin/python"
    # uv takes a second where pip takes ten; pip itself installs each once.
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        bare,
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", bare]
    run(*(pip if version == "3.11" else uv), distributions[kind])
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/app.css").write_text("body {}")
    found = json.loads(run(bare, "-c", PROBE, tmp_path / "assets"))
    assert found["url"].startswith("/assets/app-")
    assert found["extras"] == []
    assert run(tmp_path / "bare/bin/assetstore", "--version") == f"assetstore {found['version']}\n"
