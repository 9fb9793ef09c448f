"""This module owns the suite that tells what each kind of answer costs beside a bare callable.

The callable sends the same messages, recorded from assetstore itself: the same bytes and as many
headers. So the ratio is what finding, checking and planning an answer costs, with what is
remembered and without.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import tree, wrk
from benchmarks.contests import Contest
from benchmarks.frame import Comparison, Options
from benchmarks.serving import Bench
from benchmarks.subjects import BARE, OURS, UNREMEMBERED

TITLE = "what an answer costs beside a bare callable that sends the same bytes and headers"

#: Each kind of answer, and the work that asks for it.
ANSWERS = {
    "200 for 2 KB": "small",
    "200 for a script in brotli": "coded-br",
    "206 for 1 KB": "range",
    "304": "unchanged",
    "404": "missing",
}


def measure(options: Options) -> Iterator[Comparison]:
    """Every kind of answer on uvicorn, then on granian."""
    if not wrk.available():
        print("skipped: wrk is not installed; on Debian and Ubuntu: apt-get install wrk", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="assetstore-benchmark-") as scratch:
        root = Path(scratch) / "tree"
        tree.make(root)
        for server in ("uvicorn", "granian"):
            with ExitStack() as stack:
                bench = Bench(server, root, Path(scratch), stack)
                for title, work in ANSWERS.items():
                    if options.match in f"{title} on {server}":
                        yield bench.hold(_contest(title, work), options)


def _contest(title: str, work: str) -> Contest:
    return Contest(title, {subject: (subject, work) for subject in (BARE, OURS, UNREMEMBERED)})
