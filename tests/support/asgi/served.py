"""The application that a real server is started with: one mount over ``SERVED_ROOT``."""

from __future__ import annotations

import os

from starlette.applications import Starlette

from assetstore import AssetStore

store = AssetStore()
store.static("/assets/", root=os.environ["SERVED_ROOT"], name="assets")
app = Starlette(routes=store.routes)
