"""What the service counts, read back by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from cityscribe.serve.metrics import COUNTERS, ServiceMetrics


def test_counts_add_up_and_a_scraper_reads_them() -> None:
    metrics = ServiceMetrics()
    for seconds, status in ((0.01, "200"), (0.2, "200"), (300.0, "503")):
        metrics.count("cityscribe_requests_total", route="/v1/models", status=status)
        metrics.took("/v1/models", seconds)
    metrics.count("cityscribe_prompt_tokens_total", 12_345_678)
    metrics.gauge("cityscribe_waiting", "requests that wait", lambda: 3)
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["cityscribe_requests_total", "/v1/models", "200"] == 2
    assert values["cityscribe_requests_total", "/v1/models", "503"] == 1
    assert values["cityscribe_prompt_tokens_total",] == 12_345_678
    assert values["cityscribe_waiting",] == 3
    buckets = [s.value for s in families["cityscribe_request_seconds"].samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == values["cityscribe_request_seconds_count", "/v1/models"] == 3
    assert {name.removesuffix("_total") for name in COUNTERS} <= set(families)
