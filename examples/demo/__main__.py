"""``make demo``: the bucket, the two addresses, what is said of them, and the end of it all."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence

#: What the demo imports beyond the core, and what each is for.
NEEDED = {
    "boto3": "S3",
    "moto": "the S3 server",
    "uvicorn": "serving",
    "jinja2": "the page",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo until Ctrl-C; returns the exit code."""
    args = _parser().parse_args(argv)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        wanted = ", ".join(f"{name} (for {NEEDED[name]})" for name in missing)
        return _fail(
            f"the demo needs {wanted}, not installed for {sys.executable}; 'make demo' installs all of it, "
            "or: pip install -e '.[all]' --group demo"
        )

    from assetstore.errors import AssetStoreError
    from examples.demo.running import run

    try:
        return run(args.host, args.port, args.cdn_port, args.bucket)
    except AssetStoreError as error:
        return _fail(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the site (%(default)s); 0 takes any")
    parser.add_argument("--cdn-port", type=int, default=8001, help="the site with a full ASSETS_URL (%(default)s)")
    parser.add_argument(
        "--bucket",
        default="s3://demo-bucket/media",
        metavar="URL",
        help="the bucket to make, on an emulator: s3://, gs:// or az:// with a name and a prefix (%(default)s)",
    )
    return parser


def _fail(message: str) -> int:
    print(f"demo: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
