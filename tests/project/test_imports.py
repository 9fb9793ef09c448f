"""What an import costs: a name of the package brings only the modules that it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import assetstore

#: Each takes 5 to 150 ms, or belongs to a part that the program may never use.
HEAVY = frozenset(
    """
    aiohttp argparse asyncio azure boto3 botocore brotli concurrent.futures difflib email fsspec google.cloud http.client
    httpx httpx2 hypothesis importlib.metadata jinja2 markupsafe moto multiprocessing pytest requests rich ssl
    starlette urllib3 uvicorn xml.etree zipfile zstandard
    assetstore.check assetstore.cli assetstore.http assetstore.integrations assetstore.monitoring assetstore.publish
    assetstore.references.css assetstore.references.html assetstore.references.js assetstore.rewrite assetstore.servers
    assetstore.templates assetstore.testing assetstore.backends.remote.guard assetstore.backends.s3
    """.split()
)
#: What serving takes of the list: what makes pages as well, so that no event loop waits for it at the first page.
#: Starlette itself needs the others.
OF_SERVING = HEAVY - set(
    """
    assetstore.http assetstore.references.css assetstore.references.html assetstore.references.js assetstore.rewrite
    assetstore.templates asyncio concurrent.futures difflib email http.client markupsafe ssl starlette
    """.split()
)


def modules_after(code: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    command = [sys.executable, "-X", "utf8", "-c", script]
    return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = modules_after("import assetstore; assert assetstore.__version__")
    assert {name for name in loaded if name.startswith("assetstore")} == {"assetstore"}
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        pytest.param("from assetstore import AssetStore", HEAVY, id="the class"),
        pytest.param(
            "import assetstore; assetstore.AssetStore().static(root='.', name='a').resolver.find('x')",
            HEAVY,
            id="a mount of a directory",
        ),
        pytest.param(
            "import assetstore; store = assetstore.AssetStore(); store.static(root='.'); store.routes",
            OF_SERVING,
            id="its routes",
        ),
    ],
)
def test_what_is_not_used_is_not_imported(code: str, heavy: frozenset[str]) -> None:
    assert sorted(modules_after(code) & heavy) == []


@pytest.mark.parametrize("name", assetstore.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(assetstore, name)
    assert found is getattr(assetstore, name)
    assert found.__name__ == name
    assert name in dir(assetstore)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'assetstore' has no attribute 'AsetStore'"):
        assetstore.AsetStore  # type: ignore[attr-defined]  # noqa: B018
