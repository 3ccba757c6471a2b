"""Encoding of series: by the data model, and exact up to what a double holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanledger.core.gauges import Gauge, reading
from spanledger.core.labels import cut_label
from spanledger.core.money import picousd_of_double
from spanledger.core.semconv import METRICS, OVERFLOW_LABEL, Metric
from spanledger.otlp.encode import GaugePoint, SeriesPoint, decode_sums, encode_metrics


def test_a_series_is_a_cumulative_sum_with_its_own_start() -> None:
    point = SeriesPoint(METRICS[Metric.COST], (("model", "m"), ("team", "")), 5, 9, 6_455_200_000)
    (sum_point,) = decode_sums(encode_metrics({"service.name": "s"}, "scope", "1", [point]))
    assert (sum_point.metric, sum_point.unit) == ("spanledger.cost", "USD")
    assert sum_point.attributes == (("model", "m"), ("team", ""))
    assert (sum_point.start_unix_nano, sum_point.time_unix_nano) == (5, 9)
    assert sum_point.value == 0.0064552
    assert sum_point.cumulative
    assert sum_point.monotonic


def test_counts_are_integers_and_adjustments_may_fall() -> None:
    points = [
        SeriesPoint(METRICS[Metric.REQUESTS], (), 0, 1, 3),
        SeriesPoint(METRICS[Metric.COST_ADJUSTMENT], (), 0, 1, -1),
    ]
    by_name = {point.metric: point for point in decode_sums(encode_metrics({}, "s", "1", points))}
    requests, adjustment = by_name["spanledger.requests"], by_name["spanledger.cost.adjustment"]
    assert (type(requests.value), requests.value, requests.monotonic) == (int, 3, True)
    assert (adjustment.value, adjustment.monotonic) == (-1e-12, False)


def test_the_overflow_mark_is_a_boolean() -> None:
    point = SeriesPoint(METRICS[Metric.COST], ((OVERFLOW_LABEL, "true"),), 0, 1, 1)
    (sum_point,) = decode_sums(encode_metrics({}, "s", "1", [point]))
    assert sum_point.attributes == (("otel.metric.overflow", True),)


@given(st.integers(-(2**52), 2**52))
def test_every_pico_dollar_comes_back_from_the_double(picousd: int) -> None:
    point = SeriesPoint(METRICS[Metric.COST], (), 0, 1, picousd)
    (sum_point,) = decode_sums(encode_metrics({}, "s", "1", [point]))
    assert picousd_of_double(float(sum_point.value)) == picousd


def test_labels_of_series_and_gauges_are_cut_to_their_limit() -> None:
    long = "m" * 10**6
    point = SeriesPoint(METRICS[Metric.COST], (("model", long), ("team", "t" * 64)), 0, 1, 1)
    gauge = GaugePoint(reading(Gauge.OUTBOX_PAYLOADS, 3, destination=long, state="pending"), 1)
    request = ExportMetricsServiceRequest.FromString(encode_metrics({}, "s", "1", [point], [gauge], max_label_bytes=64))
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    points = [*metrics[0].sum.data_points, *metrics[1].gauge.data_points]
    values = [pair.value.string_value for point in points for pair in point.attributes]
    assert values == [cut_label(long, 64), "t" * 64, cut_label(long, 64), "pending"]


def test_a_gauge_is_a_gauge_with_the_labels_of_its_specification() -> None:
    counts = {"refused": 0, "pending": 3}
    readings = [reading(Gauge.OUTBOX_PAYLOADS, n, destination="d", state=state) for state, n in counts.items()]
    gauges = [GaugePoint(one, 7) for one in readings]
    request = ExportMetricsServiceRequest.FromString(encode_metrics({}, "s", "1", [], gauges))
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit, metric.WhichOneof("data")) == ("spanledger.outbox.payloads", "{payload}", "gauge")
    shown = [(p.attributes[1].value.string_value, p.as_int, p.time_unix_nano) for p in metric.gauge.data_points]
    assert shown == [("pending", 3, 7), ("refused", 0, 7)]


def test_a_reading_without_one_of_its_labels_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        reading(Gauge.OUTBOX_PAYLOADS, 3)
