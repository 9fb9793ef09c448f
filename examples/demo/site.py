"""The site of the demo: three mounts, one page, and a panel that asks what they are called.

Nothing here knows which of the two addresses it is for: that is ``ASSETS_URL``, and it comes from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from assetstore import AssetStore
from assetstore.integrations.jinja import install
from examples.demo.bucket import Bucket

HERE = Path(__file__).parent
ASSETS = HERE / "assets"

IMPORT_MAP = {
    "demo/fingerprint": "js/fingerprint.js",
    "demo/rows": "js/rows.js",
    "demo/watch": "js/watch.js",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One of the two places at which the site can be seen."""

    title: str
    url: str


def make_store(assets_url: str, bucket: Bucket) -> AssetStore:
    """The mounts: ``assets`` and ``og`` on disk, ``media`` in the bucket; all at *assets_url* or beside it."""
    store = AssetStore({}, ASSETS_URL=assets_url, IMPORT_MAP=IMPORT_MAP)
    store.static(
        store.settings.ASSETS_URL,
        root=ASSETS,
        name="assets",
        fingerprint="content",  # a fresh clone gives many files one time, and so one fingerprint
        references="rewrite",  # so the font and the picture that the style sheet names are kept as well
        headers=said_by("disk"),
    )
    store.static(
        urljoin(store.settings.ASSETS_URL, "/media/"),
        origin_path="/media/",
        root=bucket.root,
        storage_options=bucket.storage_options,
        name="media",
        allowed_ext=[".jpg", ".webp", ".png"],
        headers=said_by("bucket"),
    )
    store.static(
        urljoin(store.settings.ASSETS_URL, "/og/"),
        origin_path="/og/",
        root=HERE / "og",
        name="og",
        fingerprint=False,  # other sites remember this URL, so it stays the same
        headers=said_by("disk"),
    )
    store.root_files("favicon.ico", "robots.txt", "humans.txt")
    return store


def said_by(backend: str) -> dict[str, dict[str, str]]:
    """Header rules by which each answer says where it came from, to scripts of another origin as well."""
    return {"**": {"X-Backend": backend, "Access-Control-Expose-Headers": "X-Backend"}}


def make_site(assets_url: str, bucket: Bucket, here: Address, addresses: list[Address]) -> Starlette:
    """The application at one address."""
    store = make_store(assets_url, bucket)
    templates = Jinja2Templates(HERE / "templates")
    install(templates, store)

    def page(request: Request) -> Response:
        return templates.TemplateResponse(
            request,
            "page.html",
            {
                "here": here.url,
                "addresses": [{"title": each.title, "url": each.url, "here": each is here} for each in addresses],
                "other": next(each.url for each in addresses if each is not here),
                "cdn": "://" in assets_url,
                "assets_url": assets_url,
                "bucket": bucket.root,
                "folder": shown(ASSETS),
                "cover": urljoin(here.url, store.url_for("og", file="cover.png")),
                "sheet": urljoin(here.url, store.url_for("assets", file="styles/site.css")),
            },
        )

    def panel(request: Request) -> Response:
        found = [
            {"mount": mount.name, "file": asset.path, "url": store.url_for(mount.name, file=asset.path)}
            for mount in store.mounts
            if mount.name is not None
            for asset in sorted(mount.resolver.all(), key=lambda asset: asset.path)
        ]
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    routes = [*store.routes, Route("/", page), Route("/panel.json", panel, name="panel")]
    return Starlette(routes=routes, lifespan=store.lifespan)


def shown(folder: Path) -> str:
    """The folder as it is typed from where the demo was started."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
