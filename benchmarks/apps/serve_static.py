"""ServeStatic as it is measured: its ASGI application, scanning at start-up."""

from __future__ import annotations

from servestatic import ServeStaticASGI

from benchmarks.apps import TREE, nothing

app = ServeStaticASGI(nothing, root=TREE, prefix="/assets/")
