"""Litestar's static files as they are measured."""

from __future__ import annotations

from litestar import Litestar
from litestar.static_files import create_static_files_router

from benchmarks.apps import TREE

app = Litestar([create_static_files_router(path="/assets", directories=[TREE])])
