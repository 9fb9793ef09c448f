"""FastAPI, where a path operation asks for its page's assets. Run: uvicorn fastapi_app:app"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse
from store import assets

from assetstore.integrations.fastapi import page_of
from assetstore.templates.page import Page

app = FastAPI(lifespan=assets.lifespan)
app.router.routes.extend(assets.routes)

PageAssets = Annotated[Page, Depends(page_of(assets))]


@app.get("/", response_class=HTMLResponse)
def home(page: PageAssets) -> str:
    return f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>assetstore and FastAPI</title>
    <meta name="assets-version" content="{page.version}">
    {page.stylesheet_link("css/app.css")}
    {page.render_importmap()}
    {page.script_tag("js/app.js")}
  </head>
  <body><div class="card"><h1 id="greeting">…</h1></div></body>
</html>"""


@app.get("/assets-version", response_class=PlainTextResponse)
def version(page: PageAssets) -> str:
    return page.version
