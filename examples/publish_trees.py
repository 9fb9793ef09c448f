"""Trying ``assetstore publish`` on trees that nobody here wrote.

``python -m examples.publish_trees`` publishes the static folders of the packages in :data:`TREES` that it finds
below ``.venv-trees`` (``make real-trees`` installs them), with ``references="rewrite"``, and a second time with
``references="strict"`` where every reference has its file. It says which references have none, and fails where
the result is not what :data:`TREES` says.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from urllib.parse import unquote, urlsplit

from assetstore.backends import open_backend
from assetstore.backends.base import WritableBackend, digest_of_bytes, read_bytes
from assetstore.errors import AssetStoreError
from assetstore.mounts.mount import Mount
from assetstore.publish import publish
from assetstore.references import css, html
from assetstore.rewrite.backend import RewrittenBackend
from assetstore.store import AssetStore

#: Where packages of PyPI and npm are, unless they are installed in this environment.
ENVIRONMENT = Path(".venv-trees")


@dataclass(frozen=True, slots=True)
class TreeOf:
    """Where a package keeps its static files."""

    #: Below the folder of the package, or of ``node_modules`` for npm.
    folder: str
    npm: bool = False
    #: How many references mean files that the package does not have.
    missing: int = 0


TREES: dict[str, TreeOf] = {
    "swagger-ui-py": TreeOf("swagger_ui/static"),
    "django": TreeOf("django/contrib/admin/static"),
    "django-debug-toolbar": TreeOf("debug_toolbar/static"),
    "djangorestframework": TreeOf("rest_framework/static"),
    "mkdocs-material": TreeOf("material/templates/assets"),
    "jupyterlab": TreeOf("share/jupyter/lab/static"),
    "notebook": TreeOf("notebook/static"),
    "nbclassic": TreeOf("nbclassic/static", missing=6),
    "sphinx-rtd-theme": TreeOf("sphinx_rtd_theme/static"),
    "pydata-sphinx-theme": TreeOf("pydata_sphinx_theme/theme/pydata_sphinx_theme/static", missing=1),
    "bokeh": TreeOf("bokeh/server/static"),
    "swagger-ui-bundle": TreeOf("swagger_ui_bundle/vendor"),
    "swagger-ui-dist": TreeOf("swagger-ui-dist", npm=True),
    "monaco-editor": TreeOf("monaco-editor/min", npm=True),
    "three": TreeOf("three", npm=True),
    "katex": TreeOf("katex/dist", npm=True),
    "fontawesome-free": TreeOf("@fortawesome/fontawesome-free", npm=True),
    "mathjax": TreeOf("mathjax", npm=True),
    "pdfjs-dist": TreeOf("pdfjs-dist", npm=True),
    "bootstrap": TreeOf("bootstrap/dist", npm=True),
    "bootstrap-icons": TreeOf("bootstrap-icons/font", npm=True),
    "jquery-ui-dist": TreeOf("jquery-ui-dist", npm=True),
    "leaflet": TreeOf("leaflet/dist", npm=True),
    "video.js": TreeOf("video.js/dist", npm=True),
    "tinymce": TreeOf("tinymce", npm=True),
    "ace-builds": TreeOf("ace-builds/src-min-noconflict", npm=True),
    "reveal.js": TreeOf("reveal.js/dist", npm=True),
    "mermaid": TreeOf("mermaid/dist", npm=True),
    "tabler": TreeOf("@tabler/core/dist", npm=True, missing=4),
    "lit": TreeOf("lit", npm=True),
    "htmx.org": TreeOf("htmx.org/dist", npm=True),
    "codemirror": TreeOf("codemirror/dist", npm=True),
    "plotly.js-dist-min": TreeOf("plotly.js-dist-min", npm=True),
    "shoelace": TreeOf("@shoelace-style/shoelace/cdn", npm=True),
}


@dataclass
class Found:
    """What publishing one tree met."""

    files: int = 0
    objects: int = 0
    seconds: float = 0.0
    #: References without a file, which strict refuses.
    missing: list[str] = field(default_factory=list)
    #: What is wrong with what was published.
    wrong: list[str] = field(default_factory=list)


def find(name: str, environment: Path = ENVIRONMENT) -> Path | None:
    """The tree of the package *name*; ``None`` if it is not installed."""
    tree = TREES[name]
    folders = [environment / ("node_modules" if tree.npm else "pip")]
    if not tree.npm:
        spec = importlib.util.find_spec(tree.folder.partition("/")[0])
        if spec is not None and spec.submodule_search_locations:
            folders.append(Path(spec.submodule_search_locations[0]).parent)
    return next((each for folder in folders if (each := folder / tree.folder).is_dir()), None)


def mount_of(root: Path, references: str) -> Mount:
    """A mount of the tree."""
    store = AssetStore({})
    return store.static("/assets/", root=root, name="assets", fingerprint="content", references=references)


def try_tree(root: Path, out: Path) -> Found:
    """Publish *root* to the folder *out*, again, and strictly where it is clean; and look at what is there."""
    began, found = monotonic(), Found()
    target = open_backend(out, must_exist=False)
    assert isinstance(target, WritableBackend)
    mount = mount_of(root, "rewrite")
    assert isinstance(mount.backend, RewrittenBackend)
    found.missing = [str(fault) for fault in mount.backend.faults() if fault.fatal]
    first = publish(mount, target)
    found.files, found.objects = len(first.manifest.entries), first.new
    if publish(mount_of(root, "rewrite"), target).released:
        found.wrong.append("the same tree made a second release")
    try:
        again = publish(mount_of(root, "strict"), target)
    except AssetStoreError as error:
        if not found.missing:
            found.wrong.append(f"strict refused a tree without faults: {error}")
    else:
        if found.missing:
            found.wrong.append("strict let a tree with faults through")
        if again.released:
            found.wrong.append("strict made another release of the same tree")
    found.wrong += _wrong(target, first.manifest.objects())
    found.seconds = monotonic() - began
    return found


def _wrong(target: WritableBackend, objects: object) -> list[str]:
    """Objects with other bytes than recorded, and rewritten references that lead to no object."""
    wrong = []
    stored = {each.path: each for each in objects}  # type: ignore[attr-defined]
    for path, each in stored.items():
        if digest_of_bytes(target, path) != each.sha256:
            wrong.append(f"{path} has other bytes than its release records")
        if not path.endswith((".css", ".html", ".svg")):
            continue
        data = read_bytes(target, path)
        references = css.scan(data) if path.endswith(".css") else html.scan(data, xml=path.endswith(".svg"))
        for reference in references:
            meant = unquote(urlsplit(reference.reference.url).path)
            if meant.startswith("/assets/") and meant.removeprefix("/assets/") not in stored:
                wrong.append(f"{path} refers to {reference.reference.url}, which is not published")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Try the named trees, or every one; 1 where one is not as expected. ``--page`` prints a page about them."""
    page = "--page" in arguments
    names = [each for each in arguments if each != "--page"] or list(TREES)
    logging.getLogger("assetstore").setLevel(logging.ERROR)
    print(_HEAD if page else f"{'tree':22} {'files':>6} {'objects':>8} {'seconds':>8} {'missing':>8}")
    tried, failed = {}, 0
    for name in names:
        root = find(name)
        if root is None:
            print(f"{name:22} is not installed; run: make real-trees", file=sys.stderr)
            failed += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = tried[name] = try_tree(root, Path(folder) / "out")
        if len(found.missing) != TREES[name].missing:
            found.wrong.append(f"{len(found.missing)} files are missing, and {TREES[name].missing} were expected")
        if page:
            count = len(found.missing)
            clean = "yes" if not count else f"no: {count} reference{'s' * (count > 1)}"
            print(f"| {name} | {'npm' if TREES[name].npm else 'PyPI'} | {found.files:,} | {clean} |", flush=True)
        else:
            numbers = f"{found.files:6} {found.objects:8} {found.seconds:8.1f} {len(found.missing):8}"
            print("\n    ".join([f"{name:22} {numbers}", *found.missing]), flush=True)
        for each in found.wrong:
            print(f"{name}: {each}", file=sys.stderr)
        failed += bool(found.wrong)
    if page:
        for name, found in tried.items():
            if found.missing:
                print(f"\n## {name}\n")
                print("\n".join(f"- `{each}`" for each in found.missing[:LISTED]))
                if len(found.missing) > LISTED:
                    print(f"- and {len(found.missing) - LISTED} more")
    return 1 if failed else 0


#: How many references of one tree the page lists.
LISTED = 6
_HEAD = """# Real trees

`make real-trees` publishes the static files of these packages as they are, with `references="rewrite"`: every object
has the bytes that its release records, every rewritten reference leads to an object, and publishing again makes no
release. Where the last column says yes, `references="strict"` takes the tree too. Where it says no, style
sheets name files that the package does not have; a browser gets a 404 for these wherever they are served.

Written by `python -m examples.publish_trees --page`.

| package | from | files | clean |
|---|---|---|---|"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
