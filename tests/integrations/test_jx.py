"""What Jx components declare becomes fingerprinted tags, once each and in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assetstore import AssetStore
from assetstore.integrations.jx import Catalog

COMPONENTS = {
    "card.jinja": '{#css "css/card.css", "css/shared.css" #}\n{#js "js/card.js" #}\n{#def title #}\n<div>{{ title }}</div>',
    "menu.jinja": '{#css "css/shared.css", "css/menu.css" #}\n{#js "js/card.js", "https://esm.sh/x" #}\n<nav>{{ content }}</nav>',
    "page.jinja": """{#import "./card.jinja" as Card #}
{#import "./menu.jinja" as Menu #}
{#css "css/app.css" #}
{#js "js/app.js" #}
<head>HEAD</head>
<Menu><Card title="one" /></Menu><Card title="two" />""",
}
FILES = ["css/app.css", "css/card.css", "css/shared.css", "css/menu.css", "js/app.js", "js/card.js"]

Make = Callable[..., Catalog]


@pytest.fixture
def catalog(tmp_path: Path) -> Make:
    for file in FILES:
        (tmp_path / "assets" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "assets" / file).write_text(file)
    (tmp_path / "components").mkdir()

    def make(head: str, url: str = "/assets/", **options: Any) -> Catalog:
        for name, text in COMPONENTS.items():
            (tmp_path / "components" / name).write_text(text.replace("HEAD", head))
        assets = AssetStore(IMPORT_MAP={"card": "js/card.js"})
        assets.static(url, root=tmp_path / "assets", name="assets")
        return Catalog(assets, tmp_path / "components", **options)

    return make


def test_each_file_is_named_once_in_the_order_of_declaration(catalog: Make) -> None:
    html = catalog("{{ assets.render_css() }}{{ assets.render_js() }}").render("page.jinja")
    found = [re.sub("-[0-9a-f]{64}", "-#", url) for url in re.findall(r'(?:href|src)="(.*?)"', html)]
    assert found == [
        *["/assets/css/app-#.css", "/assets/css/card-#.css", "/assets/css/shared-#.css", "/assets/css/menu-#.css"],
        *["/assets/js/app-#.js", "/assets/js/card-#.js", "https://esm.sh/x"],
    ]
    assert html.count("<nav><div>one</div></nav><div>two</div>") == 1


def test_tags_on_a_cdn_carry_integrity(catalog: Make) -> None:
    html = catalog("{{ assets.render() }}", "https://cdn.example.com/").render("page.jinja")
    tags = re.findall(r"<(?:link|script) [^>]*cdn\.example\.com[^>]*>", html)
    assert len(tags) == 6
    assert all('integrity="sha384-' in tag and 'crossorigin="anonymous"' in tag for tag in tags)


def test_a_nonce_is_put_on_every_tag(catalog: Make) -> None:
    made = catalog("{{ render_importmap() }}{{ assets.render() }}", nonce=lambda variables: variables.get("nonce"))
    html = made.render("page.jinja", globals={"nonce": "n-1"})
    assert html.count('nonce="n-1"') == 8
    assert '"card":"/assets/js/card-' in html


def test_the_request_gives_the_root_path(catalog: Make) -> None:
    request = SimpleNamespace(scope={"root_path": "/shop"})
    html = catalog("{{ assets.render_css() }}").render("page.jinja", globals={"request": request})
    assert html.count('href="/shop/assets/') == 4


def test_scripts_need_not_be_modules(catalog: Make) -> None:
    html = catalog("{{ assets.render_js(module=False) }}").render("page.jinja")
    assert html.count(" defer></script>") == 3
    assert "module" not in html
