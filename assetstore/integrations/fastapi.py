"""FastAPI: a dependency that gives a path operation the assets of its page.

``PageAssets = Annotated[Page, Depends(page_of(assets))]``, and then ``def home(page: PageAssets)``.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from assetstore.store import AssetStore
from assetstore.templates.page import Page


def page_of(assets: AssetStore, *, nonce: Callable[[Request], str | None] | None = None) -> Callable[[Request], Page]:
    """A dependency that gives the :class:`~assetstore.templates.page.Page` of the request.

    Args:
        assets: where the names come from.
        nonce: finds the request's nonce, as ``lambda request: request.state.nonce``.
    """

    # Not a coroutine, so that FastAPI calls it in a thread; what it makes reads no file by itself.
    def dependency(request: Request) -> Page:
        return assets.page(request, nonce=nonce(request) if nonce else None)

    return dependency
