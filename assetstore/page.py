"""This module owns what one page says of assets: the request and the nonce are filled in once."""

from __future__ import annotations

from dataclasses import dataclass

from assetstore.html import Attribute, Markup
from assetstore.namer import Namer
from assetstore.pages import MAX_LINK_BYTES, MAX_PRELOADS, Pages


@dataclass(frozen=True, slots=True)
class Page:
    """:class:`~assetstore.pages.Pages` for one request. Template engines and dependencies hand this out."""

    namer: Namer
    pages: Pages
    request: object | None = None
    nonce: str | None = None

    def url_for(self, name: str, *, file: str, same_origin: bool = False) -> str:
        """As :meth:`AssetStore.url_for <assetstore.store.AssetStore.url_for>`."""
        root_path = self.namer.root_path(self.request)
        return self.namer.url_for(name, file, root_path=root_path, request=self.request, same_origin=same_origin)

    def render_importmap(self, *, nonce: str | None = None) -> Markup:
        """As :meth:`AssetStore.render_importmap <assetstore.store.AssetStore.render_importmap>`."""
        return self.pages.importmap(self.request).tag(nonce or self.nonce)

    def stylesheet_link(
        self, *files: str, nonce: str | None = None, integrity: bool | str | None = None, **attributes: Attribute
    ) -> Markup:
        """As :meth:`Pages.stylesheet_link`."""
        return self.pages.stylesheet_link(
            *files, nonce=nonce or self.nonce, integrity=integrity, request=self.request, **attributes
        )

    def script_tag(
        self,
        *files: str,
        module: bool = True,
        same_origin: bool = False,
        nonce: str | None = None,
        integrity: bool | str | None = None,
        **attributes: Attribute,
    ) -> Markup:
        """As :meth:`Pages.script_tag`."""
        return self.pages.script_tag(
            *files,
            module=module,
            same_origin=same_origin,
            nonce=nonce or self.nonce,
            integrity=integrity,
            request=self.request,
            **attributes,
        )

    def module_preloads(self, *entries: str, nonce: str | None = None, limit: int = MAX_PRELOADS) -> Markup:
        """As :meth:`Pages.module_preloads`."""
        return self.pages.module_preloads(*entries, nonce=nonce or self.nonce, request=self.request, limit=limit)

    def preload(self, *files: str, nonce: str | None = None, **attributes: Attribute) -> Markup:
        """As :meth:`Pages.preload`."""
        return self.pages.preload(*files, nonce=nonce or self.nonce, request=self.request, **attributes)

    def link_header(self, *files: str, max_bytes: int = MAX_LINK_BYTES) -> str:
        """As :meth:`Pages.link_header`."""
        return self.pages.link_header(*files, request=self.request, max_bytes=max_bytes)

    @property
    def version(self) -> str:
        """As :attr:`Pages.version`."""
        return self.pages.version
