"""This module owns the counters of all mounts as text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from assetstore.backends.cached.counters import Counts
from assetstore.health import Health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Labels and value of one line.
Sample = tuple[dict[str, str], float]


def text(health: Health) -> str:
    """Everything that was counted, one family of lines after the other."""
    counted = [(mount.name, mount.counts) for mount in health.mounts if mount.counts is not None]
    families = [
        _family(
            "assetstore_mount_ready",
            "gauge",
            "Whether the mount can answer.",
            (({"mount": mount.name, "state": mount.state.value}, float(mount.ready)) for mount in health.mounts),
        ),
        _family(
            "assetstore_answers_total",
            "counter",
            "How remote reads were answered; what the memory of whole answers gave is not among them.",
            _each(counted, _answers),
        ),
        _family(
            "assetstore_storage_requests_total",
            "counter",
            "Requests to the storage, every attempt counted.",
            _each(counted, lambda counts: [({}, counts.requests)]),
        ),
        _family(
            "assetstore_storage_seconds_total",
            "counter",
            "Seconds that these requests took until their first bytes.",
            _each(counted, lambda counts: [({}, counts.seconds)]),
        ),
        _family(
            "assetstore_storage_errors_total",
            "counter",
            "Faults of the storage; a missing file is none.",
            _each(counted, lambda counts: [({"error": name}, times) for name, times in sorted(counts.errors.items())]),
        ),
    ]
    return "".join(families)


def _answers(counts: Counts) -> list[Sample]:
    outcomes = {"hit": counts.hits, "miss": counts.misses, "coalesced": counts.coalesced, "stale": counts.stale}
    return [({"outcome": outcome}, times) for outcome, times in outcomes.items()]


def _each(counted: Iterable[tuple[str, Counts]], samples: Callable[[Counts], Iterable[Sample]]) -> Iterator[Sample]:
    for name, counts in counted:
        for labels, value in samples(counts):
            yield {"mount": name, **labels}, value


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        spelled = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{spelled}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
