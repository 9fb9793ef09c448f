"""Jx: components whose ``{#css … #}`` and ``{#js … #}`` become our tags.

The directives name files as templates do: ``{#css "card.css", "media:theme.css" #}``. A layout
renders what its components declared, once each and in order, with ``{{ assets.render_css() }}``
and ``{{ assets.render_js() }}``, or both at once with ``{{ assets.render() }}``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jx
from jx.component import Component

from assetstore.integrations import jinja
from assetstore.integrations.jinja import Nonce
from assetstore.store import AssetStore
from assetstore.templates.html import Attribute, Markup, lines
from assetstore.templates.page import Page


class Catalog(jx.Catalog):  # type: ignore[misc]
    """Jx's catalog, in which assets have fingerprinted URLs on their own host, with integrity.

    The templates have all of :func:`assetstore.integrations.jinja.install` too. To let URLs know
    the request, render with ``globals={"request": request}``.

    Args:
        assets: where the names come from.
        folder: as Jx's own, like every other keyword.
        nonce: finds the page's nonce among the globals.
    """

    def __init__(
        self, assets: AssetStore, folder: str | Path | None = None, *, nonce: Nonce | None = None, **options: Any
    ) -> None:
        self._assets = assets
        self._nonce = nonce
        super().__init__(None, **options)
        jinja.install(self.jinja_env, assets, nonce=nonce)
        if folder:
            self.add_folder(folder)

    def get_component(self, relpath: str) -> Component:
        """Jx's own component, with our tags."""
        plain = super().get_component(relpath)
        given = {name: getattr(plain, name) for name in Component.__slots__ if name != "globals"}
        return _AssetComponent(self, **given)

    def page(self, variables: dict[str, Any]) -> Page:
        """What the page that is rendered with *variables* says of assets."""
        return self._assets.page(variables.get("request"), nonce=self._nonce(variables) if self._nonce else None)


class _AssetComponent(Component):  # type: ignore[misc]
    __slots__ = ("_catalog",)

    def __init__(self, catalog: Catalog, **given: Any) -> None:
        super().__init__(**given)
        self._catalog = catalog

    def render_css(self, **attributes: Attribute) -> Markup:
        page = self._catalog.page(self.globals)
        return page.stylesheet_link(*self.collect_css(), **attributes)  # type: ignore[arg-type]

    def render_js(self, module: bool = True, defer: bool = True, **attributes: Attribute) -> Markup:
        page = self._catalog.page(self.globals)
        waits: Attribute = defer and not module  # modules wait by themselves
        return page.script_tag(*self.collect_js(), module=module, defer=waits, **attributes)  # type: ignore[arg-type]

    def render_assets(self, module: bool = True, defer: bool = False, **attributes: Attribute) -> Markup:
        return lines(filter(None, (self.render_css(**attributes), self.render_js(module, defer, **attributes))))
