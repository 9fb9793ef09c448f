"""Jinja2: globals that any environment's templates can call.

In templates: ``url_for('assets', file=…)``, ``render_importmap()``, ``stylesheet_link(…)``,
``script_tag(…)``, ``module_preloads(…)``, ``preload(…)`` and ``assets_version()``. They know the
request of Starlette's ``Jinja2Templates`` by the template's own ``request``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from jinja2 import Environment, nodes, pass_context

from assetstore.mounts.mount import MountTable
from assetstore.store import AssetStore
from assetstore.templates.links import Verbatim, parse_address
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

#: Endings of templates, as Jinja2's own ``select_autoescape`` has them, and of Jx components.
_TEMPLATES = (".html", ".htm", ".xml", ".jinja", ".jinja2", ".j2", ".jx", ".txt")
#: The globals whose arguments are files.
_FILES = frozenset({"stylesheet_link", "script_tag", "module_preloads", "preload"})
#: The environments of each store, for checks of what their templates name.
_ENVIRONMENTS: weakref.WeakKeyDictionary[MountTable, weakref.WeakSet[Environment]] = weakref.WeakKeyDictionary()
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
    _ENVIRONMENTS.setdefault(assets.mounts, weakref.WeakSet()).add(env)

    def page(context: Variables) -> Page:
        return assets.page(context.get("request"), nonce=nonce(context) if nonce else None)

    @pass_context
    def assets_version(context: Variables) -> str:
        return page(context).version

    env.globals["url_for"] = _url_for(page, assets, env.globals.get("url_for"))
    env.globals["assets_version"] = assets_version
    for name in _METHODS:
        env.globals[name] = _method(page, name)


@dataclass(frozen=True, slots=True)
class TemplateAsset:
    """A file that a template names in so many words."""

    template: str
    line: int
    #: The mount's name; ``None`` for the store's default one.
    mount: str | None
    file: str


def environments_of(mounts: MountTable) -> list[Environment]:
    """The environments for which :func:`install` was called with the store of *mounts*."""
    return list(_ENVIRONMENTS.get(mounts, ()))


def assets_in(env: Environment) -> Iterator[TemplateAsset]:
    """Every asset that the templates of *env* name by a constant; nothing is rendered.

    Raises:
        jinja2.TemplateSyntaxError: a template cannot be read.
    """
    for template in env.list_templates():
        if env.loader is None or not template.endswith(_TEMPLATES):
            continue
        source = env.loader.get_source(env, template)[0]
        for call in env.parse(source, template).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name):
                yield from (TemplateAsset(template, call.lineno, *named) for named in _named_by(call.node.name, call))


def _named_by(function: str, call: nodes.Call) -> Iterator[tuple[str | None, str]]:
    """Mount and file of what a call of one of the globals names."""
    constants = [each.value for each in call.args if isinstance(each, nodes.Const) and isinstance(each.value, str)]
    if function == "url_for":
        files = [each.value.value for each in call.kwargs if each.key == "file" and isinstance(each.value, nodes.Const)]
        if constants and files and isinstance(files[0], str):
            yield constants[0], files[0]
    elif function in _FILES:
        for text in constants:
            address = parse_address(text)
            if not isinstance(address, Verbatim) and not address.is_folder:
                yield address.mount, address.path


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
