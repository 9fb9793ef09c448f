"""No framework at all: a static page, with the hash that its policy needs. Run: python plain.py"""

from __future__ import annotations

from store import assets


def page() -> str:
    policy = f"script-src 'self' {assets.importmap_csp_hash()}"
    return f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>assetstore by itself</title>
    <meta http-equiv="Content-Security-Policy" content="{policy}">
    {assets.pages.stylesheet_link("css/app.css")}
    {assets.render_importmap()}
    {assets.pages.script_tag("js/app.js")}
  </head>
  <body><div class="card"><h1 id="greeting">…</h1></div></body>
</html>"""


if __name__ == "__main__":
    print(page())
