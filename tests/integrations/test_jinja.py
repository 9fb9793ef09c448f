"""Templates of any Jinja2 environment name assets, and keep their own url_for for everything else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient

from assetstore import AssetStore
from assetstore.integrations import jinja


@pytest.fixture
def assets(asset_tree: Path) -> AssetStore:
    store = AssetStore(IMPORT_MAP={"app": "js/app.min.js"})
    store.static("/assets/", root=asset_tree, name="assets")
    return store


def environment(template: str) -> Environment:
    return Environment(loader=DictLoader({"page.html": template}), autoescape=True)


def test_a_plain_environment_has_every_global(assets: AssetStore) -> None:
    env = environment(
        "{{ url_for('assets', file='css/app.css') }}|{{ stylesheet_link('css/app.css') }}|{{ script_tag('js/app.min.js') }}|"
        "{{ render_importmap() }}|{{ module_preloads('js/app.min.js') }}|{{ preload('fonts/text.woff2') }}|{{ assets_version() }}"
    )
    jinja.install(env, assets)
    parts = env.get_template("page.html").render().split("|")
    css = assets.url_for("assets", file="css/app.css")
    assert parts[:2] == [css, f'<link rel="stylesheet" href="{css}">']
    assert parts[3] == assets.render_importmap()
    assert parts[6] == assets.version
    assert not [part for part in parts if "&lt;" in part]


def test_a_nonce_is_put_on_every_tag(assets: AssetStore) -> None:
    env = environment(
        "{{ render_importmap() }}{{ script_tag('js/app.min.js') }}{{ stylesheet_link('css/app.css', nonce='own') }}"
    )
    jinja.install(env, assets, nonce=lambda variables: variables.get("csp"))
    html = env.get_template("page.html").render(csp="n-1")
    assert re.findall('nonce="(.*?)"', html) == ["n-1", "n-1", "own"]


@pytest.mark.parametrize("takes_context", [False, True])
def test_another_url_for_keeps_its_names(assets: AssetStore, takes_context: bool) -> None:
    from jinja2 import pass_context

    env = environment("{{ url_for('home', page=2) }} {{ url_for('assets', file='robots.txt') }}")
    if takes_context:
        env.globals["url_for"] = pass_context(lambda context, name, **given: f"{context['site']}/{name}/{given}")
    else:
        env.globals["url_for"] = lambda name, **given: f"site/{name}/{given}"
    jinja.install(env, assets)
    html = env.get_template("page.html").render(site="site")
    assert html.startswith("site/home/{&#39;page&#39;: 2} /assets/robots-")


def application(assets: AssetStore, tmp_path: Path) -> Starlette:
    (tmp_path / "page.html").write_text("{{ url_for('home') }} {{ url_for('assets', file='css/app.css') }}")
    templates = Jinja2Templates(tmp_path)
    jinja.install(templates, assets)

    def home(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    inner: list[Any] = [Route("/deep", home)]
    return Starlette(
        routes=[Route("/", home, name="home"), Mount("/in", routes=[Mount("/ner", routes=inner)]), *assets.routes]
    )


@pytest.mark.parametrize("path", ["/", "/in/ner/deep"])
@pytest.mark.parametrize("root_path", ["", "/shop"])
def test_starlettes_templates_name_assets_path_only_wherever_the_route_stands(
    assets: AssetStore, tmp_path: Path, path: str, root_path: str
) -> None:
    with TestClient(application(assets, tmp_path), root_path=root_path) as client:
        home, css = client.get(root_path + path).text.split()
        assert home == f"http://testserver{root_path}/"
        assert re.fullmatch(root_path + r"/assets/css/app-[0-9a-f]{64}\.css", css)
        assert client.get(css).headers["cache-control"] == "max-age=31536000, public, immutable"


@pytest.mark.parametrize("root_path", ["", "/shop"])
def test_a_store_inside_a_mount_says_so_once(assets: AssetStore, tmp_path: Path, root_path: str) -> None:
    inner = application(assets, tmp_path)
    app = Starlette(routes=[assets.names("/sub"), Mount("/sub", inner)])
    with TestClient(app, root_path=root_path) as client:
        _, css = client.get(f"{root_path}/sub/").text.split()
        assert re.fullmatch(root_path + r"/sub/assets/css/app-[0-9a-f]{64}\.css", css)
        assert client.get(css).text == "one from css/app.css\n"
    assert assets.url_for("assets", file="LICENSE").startswith("/sub/assets/")
    assert '"app":"/sub/assets/js/app.min-' in assets.render_importmap()
