"""``assetstore init``: a small application with assets and tests, to begin from."""

from __future__ import annotations

import argparse
from pathlib import Path

from assetstore.cli.options import Commands, add_command, add_output_options, print_json
from assetstore.errors import SettingsError

_FASTAPI = '''"""A page with one style sheet; run it with `uvicorn {name}:app --reload`."""

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from assetstore import AssetStore

assets = AssetStore()
assets.static(root="assets", name="assets")

app = FastAPI(routes=[*assets.routes, *assets.status_routes()], lifespan=assets.lifespan)


@app.get("/", response_class=HTMLResponse)
def home(request: Request) -> str:
    sheet = request.url_for("assets", file="styles/app.css")
    return f'<!doctype html><title>Hello</title><link rel="stylesheet" href="{{sheet}}"><h1>Hello</h1>'
'''

_STARLETTE = '''"""A page with one style sheet; run it with `uvicorn {name}:app --reload`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from assetstore import AssetStore

assets = AssetStore()
assets.static(root="assets", name="assets")


def home(request: Request) -> HTMLResponse:
    sheet = request.url_for("assets", file="styles/app.css")
    return HTMLResponse(f'<!doctype html><title>Hello</title><link rel="stylesheet" href="{{sheet}}"><h1>Hello</h1>')


routes = [*assets.routes, *assets.status_routes(), Route("/", home)]
app = Starlette(routes=routes, lifespan=assets.lifespan)
'''

_TESTS = r'''"""The page names the style sheet by its fingerprint, and that name answers."""

import re

from starlette.testclient import TestClient

from {name} import app


def test_the_page_names_its_style_sheet() -> None:
    with TestClient(app) as client:
        found = re.search(r'href="(.+-[0-9a-f]{{64}}\.css)"', client.get("/").text)
        assert found is not None
        assert client.get(found[1]).headers["content-type"] == "text/css; charset=utf-8"
'''

_SHEET = "body {{\n  font-family: system-ui, sans-serif;\n  color: teal;\n}}\n"

FRAMEWORKS = {"fastapi": _FASTAPI, "starlette": _STARLETTE}


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "init", run, "write a small application with assets and a test")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to (the current directory)")
    parser.add_argument("--framework", choices=tuple(FRAMEWORKS), default="fastapi", help="(%(default)s)")
    parser.add_argument("--name", default="shop", metavar="MODULE", help="the module's name (%(default)s)")
    add_output_options(parser, "print nothing")


def run(args: argparse.Namespace) -> int:
    if not args.name.isidentifier():
        raise SettingsError(f"--name={args.name!r} is no name of a module; a good one is 'shop'")
    files = {
        f"{args.name}.py": FRAMEWORKS[args.framework],
        f"test_{args.name}.py": _TESTS,
        "assets/styles/app.css": _SHEET,
    }
    folder = Path(args.folder)
    if taken := [name for name in files if (folder / name).exists()]:
        raise SettingsError(f"{', '.join(taken)} in {folder} would be overwritten; give another FOLDER or --name")
    for name, text in files.items():
        file = folder / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.format(name=args.name), "utf-8")
        except OSError as error:
            raise SettingsError(f"{file} cannot be written: {error}") from error
        if not (args.json or args.quiet):
            print(f"wrote {file}")
    if args.json:
        print_json({"wrote": [str(folder / name) for name in files]})
    elif not args.quiet:
        print(f"next: uvicorn {args.name}:app --reload")
    return 0
