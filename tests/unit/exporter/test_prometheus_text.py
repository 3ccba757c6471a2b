"""The scrape format: names as Prometheus makes them of OTLP, values and labels unchanged."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint
from prometheus_client.parser import text_string_to_metric_families

from spanledger.core.gauges import Gauge, reading
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.semconv import METRICS, OVERFLOW_LABEL, Metric
from spanledger.exporter.prometheus_text import prometheus_text
from spanledger.otlp.encode import GaugePoint, SeriesPoint, encode_metrics


def samples(body: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(prometheus_text(body).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@pytest.mark.parametrize(
    ("name", "unit", "is_counter", "expected"),
    [
        ("spanledger.cost", "USD", True, "spanledger_cost_USD_total"),
        ("spanledger.cost.adjustment", "USD", False, "spanledger_cost_adjustment_USD"),
        ("spanledger.requests", "{request}", True, "spanledger_requests_total"),
        ("spanledger.active_time", "s", True, "spanledger_active_time_seconds_total"),
        ("spanledger.outbox.size", "By", False, "spanledger_outbox_size_bytes"),
        ("spanledger.outbox.payloads", "{payload}", False, "spanledger_outbox_payloads"),
        ("some.duration_seconds", "s", False, "some_duration_seconds"),
        ("process.uptime", "", False, "process_uptime"),
    ],
)
def test_names_are_those_of_prometheus_own_translation(name: str, unit: str, is_counter: bool, expected: str) -> None:
    assert prometheus_name(name, unit, is_counter=is_counter) == expected


def test_sums_gauges_and_the_resource_are_all_there() -> None:
    points = [
        SeriesPoint(METRICS[Metric.COST_ADJUSTMENT], (("reason", 'a "late" log'),), 0, 9, -1_000_000_000_000),
        SeriesPoint(METRICS[Metric.REQUESTS], ((OVERFLOW_LABEL, "true"),), 0, 9, 3),
    ]
    gauges = [GaugePoint(reading(Gauge.OUTBOX_AGE, 1_500_000_000, destination="d"), 9)]
    assert samples(encode_metrics({"service.name": "spanledger"}, "s", "1", points, gauges)) == {
        ("spanledger_cost_adjustment_USD", (("reason", 'a "late" log'),)): -1.0,
        ("spanledger_requests_total", (("otel_metric_overflow", "true"),)): 3.0,
        ("spanledger_outbox_age_seconds", (("destination", "d"),)): 1.5,
        ("target_info", (("service_name", "spanledger"),)): 1.0,
    }


def test_a_histogram_has_its_buckets_summed_up() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="spanledger.commit.duration", unit="s")
    point = HistogramDataPoint(count=6, sum=1.5, explicit_bounds=[0.005, 0.1], bucket_counts=[1, 2, 3])
    metric.histogram.data_points.append(point)
    found = samples(request.SerializeToString())
    name = "spanledger_commit_duration_seconds"
    assert {labels[0][1]: value for (sample, labels), value in found.items() if sample == f"{name}_bucket"} == {
        "0.005": 1,
        "0.1": 3,
        "+Inf": 6,
    }
    assert (found[f"{name}_count", ()], found[f"{name}_sum", ()]) == (6, 1.5)
