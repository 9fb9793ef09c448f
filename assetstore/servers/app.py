"""The application that ``assetstore serve`` runs: one mount, and nothing else.

Workers are processes of their own, so a :class:`Tree` travels to them through the environment.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.types import ASGIApp

from assetstore.errors import SettingsError
from assetstore.http.rsgi import RSGIApplication
from assetstore.store import AssetStore

#: The environment variable by which a worker gets its tree.
VARIABLE = "ASSETSTORE_TREE"
#: What a server imports in each worker; called without arguments it gives the application.
FACTORY, RSGI_FACTORY = (f"assetstore.servers.app:{name}from_environment" for name in ("", "rsgi_"))


@dataclass(frozen=True, slots=True)
class Tree:
    """What is served, as the command line said it. See :meth:`AssetStore.static` for the fields."""

    root: str
    url: str = "/assets/"
    allowed_ext: tuple[str, ...] = ()
    fingerprint: bool | Literal["mtime", "content"] = True
    public: bool = True
    default_file: str | None = None
    references: Literal["rewrite", "strict"] | None = None
    manifest: str | None = None
    index: Literal["listing", "lazy"] = "listing"
    storage_options: Mapping[str, Any] = field(default_factory=dict)

    def store(self) -> AssetStore:
        """A store with this one mount.

        Raises:
            SettingsError: the root or another value is no good.
        """
        assets = AssetStore({}, ASSETS_URL="/")  # "site/" is below the root of the domain
        assets.static(
            self.url,
            root=self.root,
            name="assets",
            allowed_ext=self.allowed_ext,
            fingerprint=self.fingerprint,
            public=self.public,
            defaults={"file": self.default_file} if self.default_file is not None else None,
            storage_options=self.storage_options or None,
            references=self.references,
            manifest=self.manifest,
            index=self.index,
        )
        return assets

    def to_environment(self) -> None:
        """Leave the tree for the workers that this process will start."""
        os.environ[VARIABLE] = json.dumps(asdict(self))


def application(store: AssetStore) -> ASGIApp:
    """*store* alone as an ASGI application: anything outside its mounts is a 404."""
    return store.wrap(_behind(store))


def _behind(store: AssetStore) -> Starlette:
    """What stands behind the store: nothing but its own routes, which may look up any name in the storage."""
    return Starlette(routes=store.routes, lifespan=store.lifespan)


def from_environment() -> ASGIApp:
    """The application of the tree that the parent process left.

    Raises:
        SettingsError: there is none.
    """
    made = application(_given().store())
    _freeze()
    return made


def rsgi_from_environment() -> RSGIApplication:
    """The same for a server that speaks RSGI.

    Raises:
        SettingsError: as :func:`from_environment`.
    """
    store = _given().store()
    behind = _behind(store)
    made = RSGIApplication(store.wrap(behind), store.response_cache, store.lifespan(behind))
    _freeze()
    return made


def _freeze() -> None:
    """Freeze start-up objects so that the garbage collector skips them: with boto3 a full collection takes 17 ms."""
    gc.collect()
    gc.freeze()


def _given() -> Tree:
    try:
        given = json.loads(os.environ[VARIABLE])
    except (KeyError, ValueError):
        raise SettingsError(f"{VARIABLE} holds no tree; start the server with 'assetstore serve'") from None
    return Tree(**{**given, "allowed_ext": tuple(given["allowed_ext"])})
