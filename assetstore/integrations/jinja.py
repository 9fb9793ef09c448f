"""Jinja2: globals that any environment's templates can call.

In templates: ``url_for('assets', file=…)``, ``render_importmap()``, ``stylesheet_link(…)``,
``script_tag(…)``, ``module_preloads(…)``, ``preload(…)`` and ``assets_version()``. They know the
request of Starlette's ``Jinja2Templates`` by the template's own ``request``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jinja2 import Environment, pass_context

from assetstore.store import AssetStore
from assetstore.templates.page import Page


class Variables(Protocol):
    """What a template was rendered with."""

    def get(self, key: str, default: Any = None) -> Any:
        """The variable called *key*."""


class HasEnvironment(Protocol):
    """Starlette's ``Jinja2Templates``, or any other owner of an environment."""

    @property
    def env(self) -> Environment:
        """The environment."""


#: Finds a page's nonce among its template's variables.
Nonce = Callable[[Variables], str | None]

#: The globals that are methods of :class:`Page` by the same name.
_METHODS = ("render_importmap", "stylesheet_link", "script_tag", "module_preloads", "preload")


def install(templates: Environment | HasEnvironment, assets: AssetStore, *, nonce: Nonce | None = None) -> None:
    """Make the globals known to *templates*.

    ``url_for`` answers for the store's mounts, always as a path or a CDN's URL; every other name
    goes to the ``url_for`` that was there before, Starlette's own as a rule.

    Args:
        templates: a Jinja2 environment, or a ``Jinja2Templates``.
        assets: where the names come from.
        nonce: ``lambda variables: variables.get("request").state.nonce`` puts a nonce on every tag.
    """
    env = templates if isinstance(templates, Environment) else templates.env

    def page(context: Variables) -> Page:
        return assets.page(context.get("request"), nonce=nonce(context) if nonce else None)

    @pass_context
    def assets_version(context: Variables) -> str:
        return page(context).version

    env.globals["url_for"] = _url_for(page, assets, env.globals.get("url_for"))
    env.globals["assets_version"] = assets_version
    for name in _METHODS:
        env.globals[name] = _method(page, name)


def _method(page: Callable[[Variables], Page], name: str) -> Callable[..., Any]:
    @pass_context
    def call(context: Variables, *args: Any, **kwargs: Any) -> Any:
        return getattr(page(context), name)(*args, **kwargs)

    return call


def _url_for(page: Callable[[Variables], Page], assets: AssetStore, before: Any) -> Callable[..., Any]:
    wants_context = getattr(before, "jinja_pass_arg", None) is not None

    @pass_context
    def url_for(context: Variables, name: str, /, **path_params: Any) -> Any:
        if before is None or (name in assets.mounts.names and "file" in path_params):
            return page(context).url_for(name, **path_params)
        return before(context, name, **path_params) if wants_context else before(name, **path_params)

    return url_for
