"""The text format of Prometheus."""

from __future__ import annotations

import re

from cityscribe.serve.metrics import COUNTERS, Metrics

LINE = re.compile(r'[a-z_]+(\{([a-z]+="[^"\\\n]*",?)+\})? (\d+(\.\d+)?|\+Inf)')


def test_every_line_is_of_the_format_and_counts_add_up() -> None:
    metrics = Metrics()
    for seconds, status in ((0.01, "200"), (0.2, "200"), (300.0, "503")):
        metrics.count("cityscribe_requests_total", route="/v1/models", status=status)
        metrics.took("/v1/models", seconds)
    metrics.count("cityscribe_prompt_tokens_total", 12_345_678)
    metrics.gauges["cityscribe_waiting"] = ("requests that wait", lambda: 3)
    lines = metrics.text().splitlines()
    assert all(line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line) for line in lines)
    assert 'cityscribe_requests_total{route="/v1/models",status="200"} 2' in lines
    assert "cityscribe_prompt_tokens_total 12345678" in lines
    assert "cityscribe_waiting 3" in lines
    buckets = [int(line.split()[-1]) for line in lines if "_bucket" in line]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert {line.split()[2] for line in lines if line.startswith("# TYPE")} >= set(COUNTERS)
