"""Counters and gauges in the text format of Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

COUNTERS = {
    "cityscribe_requests_total": "requests answered, by route and status",
    "cityscribe_prompt_tokens_total": "tokens that were asked, image tokens counted",
    "cityscribe_answer_tokens_total": "tokens that were answered",
    "cityscribe_batches_total": "batches that the model answered",
    "cityscribe_model_starts_total": "times that the model was loaded",
    "cityscribe_decoder_kills_total": "files whose decoding was ended by force or that ended it",
    "cityscribe_jobs_total": "clips described, by how it ended",
}


@dataclass(slots=True)
class Metrics:
    """What is counted. Labels are of our own making (route templates, statuses): their number is bounded."""

    gauges: dict[str, tuple[str, Callable[[], float]]] = field(default_factory=dict)  # name -> what it says, value
    _counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    _seconds: dict[str, list[float]] = field(default_factory=dict)  # route -> counts of the buckets, count, sum

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter of COUNTERS."""
        key = (name, tuple(sorted(labels.items())))
        self._counts[key] = self._counts.get(key, 0) + amount

    def took(self, route: str, seconds: float) -> None:
        """A request to a route has been answered after so many seconds."""
        row = self._seconds.setdefault(route, [0.0] * (len(BUCKETS_S) + 2))
        for n, limit in enumerate(BUCKETS_S):
            row[n] += seconds <= limit
        row[-2] += 1
        row[-1] += seconds

    def text(self) -> str:
        lines = []
        for name, meaning in COUNTERS.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
            of_name = [(labels, value) for (counted, labels), value in self._counts.items() if counted == name]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(of_name)]
        name = "cityscribe_request_seconds"
        lines += [f"# HELP {name} time from a request to the end of its answer", f"# TYPE {name} histogram"]
        for route, row in sorted(self._seconds.items()):
            for limit, value in zip((*(f"{limit:g}" for limit in BUCKETS_S), "+Inf"), row, strict=False):
                lines.append(f"{name}_bucket{_labels((('le', limit), ('route', route)))} {_number(value)}")
            lines.append(f"{name}_sum{_labels((('route', route),))} {row[-1]:.6f}")
            lines.append(f"{name}_count{_labels((('route', route),))} {_number(row[-2])}")
        for name, (meaning, value_of) in self.gauges.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {_number(value_of())}"]
        return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}"
