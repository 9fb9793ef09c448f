"""What one call of ``url_for`` costs: ours, Django's, Starlette's, and one ``stat`` of the system.

Every subject names the same files. "One file" is what a page does that names a file which it named
within the last second; "1,000 files in turn" shows what it costs when little of it is warm in the processor.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from benchmarks.frame import Comparison, Options, Target, interleaved, microseconds

TITLE = "what one call of url_for costs"
FILES = [f"css/part{number % 20}/sheet-{number}.css" for number in range(1_000)]

Name = Callable[[str], object]


def measure(options: Options) -> Iterator[Comparison]:
    """One comparison for one file, one for all in turn."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for file in FILES:
            (root / "assets" / file).parent.mkdir(parents=True, exist_ok=True)
            (root / "assets" / file).write_text(f"/* {file} */")
        subjects = _subjects(root)
        for work, files in (("one file", FILES[:1]), ("1,000 files in turn", FILES)):
            if options.match in work:
                yield _compare(work, subjects, files, options)


def _compare(work: str, subjects: Mapping[str, Name], files: list[str], options: Options) -> Comparison:
    def timed(name: Name) -> Callable[[], float]:
        turn = cycle(files)
        for file in files:
            name(file)
        return lambda: microseconds(lambda: name(next(turn)), seconds=options.seconds / 10)

    samples = interleaved({subject: timed(name) for subject, name in subjects.items()}, options.rounds)
    targets = (
        Target("assetstore, local mount", "os.stat", at_most=1.5),
        Target("assetstore, remote index", "os.stat", at_most=0.4),
        Target("assetstore, manifest", "os.stat", at_most=0.4),
        Target("assetstore, local mount", "Django, manifest storage", at_most=1.0),
    )
    return Comparison(work, "µs", samples, "os.stat", targets)


def _subjects(root: Path) -> dict[str, Name]:
    folder = root / "assets"
    return {
        "os.stat": lambda file: os.stat(f"{folder}/{file}"),
        "Starlette, url_path_for": _starlette(folder),
        "Starlette, request.url_for": _starlette_request(folder),
        "Django, manifest storage": _django(root),
        **_ours(root),
    }


def _ours(root: Path) -> dict[str, Name]:
    from assetstore import AssetStore
    from assetstore.backends.local.backend import LocalBackend

    class Remote(LocalBackend):
        """A directory that passes for a bucket, so that names come from the index."""

        remote = True

    folder = root / "assets"
    local, remote, published = AssetStore(), AssetStore(), AssetStore()
    local.static("/assets/", root=folder, name="assets", fingerprint="content")
    remote.static("/assets/", root=Remote(folder), name="assets", fingerprint="content")
    [release] = local.publish(root / "bucket")
    published.static("/assets/", root=folder, name="assets", manifest=release.manifest)
    _wait(lambda: remote.url_for("assets", file=FILES[-1]) == local.url_for("assets", file=FILES[-1]))
    stores = {"local mount": local, "remote index": remote, "manifest": published}
    return {f"assetstore, {kind}": _url_for(store) for kind, store in stores.items()}


def _url_for(store: object) -> Name:
    url_for = store.url_for  # type: ignore[attr-defined]
    return lambda file: url_for("assets", file=file)


def _wait(ready: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + 30
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the index was not filled in time")
        time.sleep(0.05)


def _starlette(folder: Path) -> Name:
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    app = Starlette(routes=[Mount("/assets", StaticFiles(directory=folder), name="assets")])
    return lambda file: app.url_path_for("assets", path=file)


def _starlette_request(folder: Path) -> Name:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    app = Starlette(routes=[Mount("/assets", StaticFiles(directory=folder), name="assets")])
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("localhost", 80),
        "app": app,
        "router": app.router,
    }
    request = Request(scope)
    return lambda file: str(request.url_for("assets", path=file))


def _django(root: Path) -> Name:
    import django
    from django.conf import settings
    from django.core.management import call_command

    storage = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["django.contrib.staticfiles"],
            STATIC_URL="/assets/",
            STATIC_ROOT=root / "collected",
            STATICFILES_DIRS=[root / "assets"],
            STORAGES={"staticfiles": {"BACKEND": storage}},
        )
        django.setup()
        call_command("collectstatic", interactive=False, verbosity=0)
    from django.contrib.staticfiles.storage import staticfiles_storage

    url: Name = staticfiles_storage.url
    return url
