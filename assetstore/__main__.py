"""``python -m assetstore``."""

from __future__ import annotations

from assetstore.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
