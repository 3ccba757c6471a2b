"""Encoding: sums and gauges as an OTLP metrics request, and reading such sums back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, NumberDataPoint

from spanledger.core.batch import Scalar
from spanledger.core.gauges import GAUGES, Reading
from spanledger.core.labels import MAX_LABEL_BYTES, cut_label
from spanledger.core.money import usd_double
from spanledger.core.semconv import OVERFLOW_LABEL, MetricSpec, Quantity
from spanledger.core.times import NANO_PER_SECOND
from spanledger.core.usage import Temporality

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A series at an instant, or what it grew by until then: `value` is pico-USD for money, a count otherwise."""

    spec: MetricSpec
    labels: tuple[tuple[str, str], ...]
    start_unix_nano: int
    time_unix_nano: int
    value: int


@dataclass(frozen=True, slots=True)
class SumPoint:
    """A data point of a sum, as it was on the wire."""

    metric: str
    unit: str
    attributes: tuple[tuple[str, Scalar], ...]
    start_unix_nano: int
    time_unix_nano: int
    value: float | int
    monotonic: bool
    cumulative: bool


@dataclass(frozen=True, slots=True)
class GaugePoint:
    """A reading of a gauge and when it was taken."""

    reading: Reading
    time_unix_nano: int


def encode_metrics(
    resource: Mapping[str, Scalar],
    scope_name: str,
    scope_version: str,
    points: Sequence[SeriesPoint],
    gauges: Sequence[GaugePoint] = (),
    temporality: Temporality = Temporality.CUMULATIVE,
    max_label_bytes: int = MAX_LABEL_BYTES,
) -> bytes:
    """Encode series, then gauges, as one request: a metric for each name, in order of name and labels.

    `temporality` is that of the sums that only rise; others are cumulative always, as OpenTelemetry's exporter
    specification has it. Longer labels are cut: gauges have them, and series that older ledgers began. This is where
    money becomes a double (USD) and nowhere else.
    """
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(_key_values(resource.items()))
    scope = group.scope_metrics.add()
    scope.scope.name, scope.scope.version = scope_name, scope_version
    ordered = sorted(points, key=lambda point: (point.spec.name, point.labels))
    for _, series in groupby(ordered, key=lambda point: point.spec.name):
        of_metric = list(series)
        spec = of_metric[0].spec
        metric = scope.metrics.add(name=spec.name, unit=spec.unit, description=spec.description)
        is_delta = spec.monotonic and temporality is Temporality.DELTA
        metric.sum.aggregation_temporality = _DELTA if is_delta else _CUMULATIVE
        metric.sum.is_monotonic = spec.monotonic
        metric.sum.data_points.extend(_data_point(point, max_label_bytes) for point in of_metric)
    readings = sorted(gauges, key=lambda point: (point.reading.gauge, point.reading.labels))
    for name, several in groupby(readings, key=lambda point: point.reading.gauge):
        gauge = GAUGES[name]
        metric = scope.metrics.add(name=gauge.name, unit=gauge.unit, description=gauge.description)
        metric.gauge.data_points.extend(_gauge_point(point, max_label_bytes) for point in several)
    return request.SerializeToString()


def decode_sums(body: bytes) -> list[SumPoint]:
    """Read every data point of every sum of a metrics request."""
    request = ExportMetricsServiceRequest.FromString(body)
    return [
        SumPoint(
            metric=metric.name,
            unit=metric.unit,
            attributes=tuple((pair.key, scalar_of(pair.value)) for pair in point.attributes),
            start_unix_nano=point.start_time_unix_nano,
            time_unix_nano=point.time_unix_nano,
            value=point.as_int if point.WhichOneof("value") == "as_int" else point.as_double,
            monotonic=metric.sum.is_monotonic,
            cumulative=metric.sum.aggregation_temporality == _CUMULATIVE,
        )
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
    ]


def _data_point(point: SeriesPoint, max_label_bytes: int) -> NumberDataPoint:
    encoded = NumberDataPoint(
        attributes=_labels(point.labels, max_label_bytes),
        start_time_unix_nano=point.start_unix_nano,
        time_unix_nano=point.time_unix_nano,
    )
    _put_value(encoded, point.spec.quantity, point.value)
    return encoded


def _gauge_point(point: GaugePoint, max_label_bytes: int) -> NumberDataPoint:
    reading = point.reading
    encoded = NumberDataPoint(
        attributes=_labels(reading.labels, max_label_bytes),
        time_unix_nano=point.time_unix_nano,
    )
    _put_value(encoded, GAUGES[reading.gauge].quantity, reading.value)
    return encoded


def _put_value(encoded: NumberDataPoint, quantity: Quantity, value: int) -> None:
    match quantity:
        case Quantity.MONEY:
            encoded.as_double = usd_double(value)
        case Quantity.COUNT:
            encoded.as_int = value
        case Quantity.DURATION:
            encoded.as_double = value / NANO_PER_SECOND


def _labels(labels: Iterable[tuple[str, str]], max_bytes: int) -> list[KeyValue]:
    """Labels are text; the overflow mark is a boolean by the OpenTelemetry specification."""
    return _key_values(
        (label, value == "true" if label == OVERFLOW_LABEL else cut_label(value, max_bytes)) for label, value in labels
    )


def _key_values(pairs: Iterable[tuple[str, Scalar]]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in pairs]


def _any_value(value: Scalar) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)


def scalar_of(value: AnyValue) -> Scalar:
    """Read a scalar; what is none is an empty text."""
    match value.WhichOneof("value"):
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case _:
            return value.string_value
