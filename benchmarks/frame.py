"""What a measurement is: interleaved rounds, ratios within a round, and their spread.

On a shared machine absolute numbers are noise. So every subject of a comparison is measured once
per round, rounds follow each other, and what is reported is the ratio of two subjects within the
same round: its median, and the lowest and highest that were seen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: Every suite, in the order in which a full run measures them: modules of this package.
SUITES = ("serving", "start_up", "url_for", "object_storage", "publish", "stalls", "hashing")


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how often to measure."""

    #: How often each subject is measured.
    rounds: int = 5
    #: How long one measurement of a server lasts, in seconds.
    seconds: float = 0.4
    #: Only works whose name holds this text.
    match: str = ""
    #: Whether to count the time that a server's processes were running instead of the time that passed:
    #: for a machine that has other things to do meanwhile.
    cpu: bool = False


class Suite(Protocol):
    """What a module of this package has in order to be a suite."""

    TITLE: str

    def measure(self, options: Options) -> Iterator[Comparison]:
        """Measure, one comparison after the other."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one subject compares with another: the median over the rounds, and the spread."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio of two subjects ought to be."""

    subject: str
    baseline: str
    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, ratio: Ratio) -> bool:
        """Whether the median keeps the target."""
        above = self.at_least is None or ratio.median >= self.at_least
        return above and (self.at_most is None or ratio.median <= self.at_most)

    def __str__(self) -> str:
        bounds = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        bounds += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(bounds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of work, and what each subject made of it in every round."""

    work: str
    unit: str
    #: One value per round, by subject.
    samples: Mapping[str, tuple[float, ...]]
    #: The subject that all others are compared with.
    baseline: str
    targets: tuple[Target, ...] = field(default=())

    def ratio(self, subject: str, baseline: str | None = None) -> Ratio:
        """*subject* divided by *baseline*, round by round."""
        pairs = zip(self.samples[subject], self.samples[baseline or self.baseline], strict=True)
        ratios = [one / other for one, other in pairs if other]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def typical(self, subject: str) -> float:
        """The median of what *subject* made, in :attr:`unit`."""
        return statistics.median(self.samples[subject])


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, tuple[float, ...]]:
    """Measure every subject once per round; each round begins with another subject."""
    names = list(measures)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(measures[name]())
    return {name: tuple(values) for name, values in samples.items()}


def microseconds(function: Callable[[], object], seconds: float = 0.2) -> float:
    """How long one call of *function* keeps a core busy: the mean of as many calls as fill *seconds*."""
    function()
    calls, batch, spent = 0, 1, 0.0
    while spent < seconds:
        began = time.thread_time()
        for _ in range(batch):
            function()
        spent += time.thread_time() - began
        calls += batch
        batch = min(batch * 2, 10_000)
    return spent / calls * 1e6
