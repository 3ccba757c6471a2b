"""The metrics as Prometheus scrapes them: the names that Prometheus itself makes of them when they come by OTLP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from spanledger.core.batch import Scalar
from spanledger.core.prometheus_names import prometheus_label, prometheus_name
from spanledger.otlp.encode import scalar_of

CONTENT_TYPE = CONTENT_TYPE_LATEST


def prometheus_text(body: bytes) -> bytes:
    """Write an OTLP metrics request in Prometheus' text format; the service's resource becomes `target_info`."""
    request = ExportMetricsServiceRequest.FromString(body)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Request(request))
    return generate_latest(registry)


class _Request(Collector):
    def __init__(self, request: ExportMetricsServiceRequest) -> None:
        self._request = request

    def collect(self) -> Iterator[Family]:
        for group in self._request.resource_metrics:
            for scope in group.scope_metrics:
                yield from map(_family, scope.metrics)
        yield from _target_info(self._request)


def _family(metric: Metric) -> Family:
    match metric.WhichOneof("data"):
        case "sum" if metric.sum.is_monotonic:
            name = prometheus_name(metric.name, metric.unit, is_counter=True)
            counter = CounterMetricFamily(name, metric.description)
            for point in metric.sum.data_points:
                counter.add_sample(name, _labels(point.attributes), _value(point))
            return counter
        case "histogram":
            return _histogram(metric)
        case _:
            name = prometheus_name(metric.name, metric.unit, is_counter=False)
            gauge = GaugeMetricFamily(name, metric.description)
            for point in (*metric.sum.data_points, *metric.gauge.data_points):
                gauge.add_sample(name, _labels(point.attributes), _value(point))
            return gauge


def _histogram(metric: Metric) -> HistogramMetricFamily:
    name = prometheus_name(metric.name, metric.unit, is_counter=False)
    family = HistogramMetricFamily(name, metric.description)
    for point in metric.histogram.data_points:
        for limit, count in _buckets(point):
            family.add_sample(f"{name}_bucket", {**_labels(point.attributes), "le": limit}, count)
        family.add_sample(f"{name}_count", _labels(point.attributes), point.count)
        family.add_sample(f"{name}_sum", _labels(point.attributes), point.sum)
    return family


def _buckets(point: HistogramDataPoint) -> Iterator[tuple[str, int]]:
    """Upper limits and counts up to each, as Prometheus has them."""
    limits = [*(f"{bound:g}" for bound in point.explicit_bounds), "+Inf"]
    total = 0
    for limit, count in zip(limits, point.bucket_counts, strict=True):
        total += count
        yield limit, total


def _target_info(request: ExportMetricsServiceRequest) -> Iterator[Family]:
    for group in request.resource_metrics[:1]:
        info = GaugeMetricFamily("target_info", "The service that these metrics are of.")
        info.add_sample("target_info", _labels(group.resource.attributes), 1)
        yield info


def _value(point: NumberDataPoint) -> float:
    return float(point.as_int) if point.WhichOneof("value") == "as_int" else point.as_double


def _labels(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {prometheus_label(pair.key): _text(scalar_of(pair.value)) for pair in attributes}


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
