"""The command ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import cast

from benchmarks import chart, machine, report
from benchmarks.frame import SUITES, Options, Suite


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 when every suite ran, whether or not its targets were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure assetstore beside its peers.")
    parser.add_argument("--only", default="", help=f"suites, separated by commas: {', '.join(SUITES)}")
    parser.add_argument("--match", default="", help="only works whose name holds this text; their JSON is not kept")
    parser.add_argument("--rounds", type=int, default=5, help="how often each subject is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.4, help="how long each measurement lasts (default: 0.4)")
    parser.add_argument("--cpu", action="store_true", help="count the servers' CPU time: for a machine that is busy")
    given = parser.parse_args(arguments)
    wanted = [name for name in given.only.split(",") if name] or list(SUITES)
    if unknown := set(wanted) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; the suites are {', '.join(SUITES)}")
    options = Options(given.rounds, given.seconds, given.match, given.cpu)
    told = machine.describe()
    print("\n".join(f"{name}: {said}" for name, said in told.items()))
    for name in wanted:
        run(name, options, told)
    if not given.match:
        print(f"\nchart: {chart.draw(report.RESULTS)}")
        report.write_targets()
        report.write_figures()
    return 0


def run(name: str, options: Options, told: dict[str, str]) -> None:
    """Run one suite: print each comparison as it comes, then keep them all."""
    suite = cast(Suite, import_module(f"benchmarks.{name}"))
    print(f"\n== {name}: {suite.TITLE}")
    comparisons = []
    for comparison in suite.measure(options):
        print("\n" + report.table(comparison), flush=True)
        comparisons.append(comparison)
    if comparisons and not options.match:
        print(f"\nwritten: {report.save(name, suite.TITLE, comparisons, options, told)}")


if __name__ == "__main__":
    sys.exit(main())
