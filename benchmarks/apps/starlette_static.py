"""Starlette's StaticFiles as it is measured."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from benchmarks.apps import TREE

app = Starlette(routes=[Mount("/assets", StaticFiles(directory=TREE))])
