"""Assetstore as it is measured: in front of an application, and as its routes."""

from __future__ import annotations

from starlette.applications import Starlette

from assetstore import AssetStore
from benchmarks.apps import TREE, nothing

#: Settings come from the environment, so the same application is measured without its memory.
assets = AssetStore()
assets.static("/assets/", root=TREE, name="assets")

wrapped = assets.wrap(nothing)
routed = Starlette(routes=assets.routes)
