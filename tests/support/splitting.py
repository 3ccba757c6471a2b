"""Cutting request bodies into single records, as a receiver that batches otherwise would have them."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal
from spanledger.otlp.otlp_json import to_protobuf


def protobuf_body(delivery: Delivery) -> bytes:
    """The body in protobuf, whatever it came in."""
    if delivery.encoding is Encoding.PROTOBUF:
        return delivery.body
    return to_protobuf(delivery.signal, delivery.body).body


def split_records(delivery: Delivery) -> list[Delivery]:
    """One delivery for each span, log record or data point, in protobuf."""
    body = protobuf_body(delivery)
    cut = {Signal.TRACES: _spans, Signal.LOGS: _logs, Signal.METRICS: _points}[delivery.signal]
    return [Delivery(delivery.signal, Encoding.PROTOBUF, one) for one in cut(body)]


def record_names(signal: Signal, body: bytes) -> set[str]:
    """A name for each record of a protobuf body, the same whatever the service wrote on the record."""
    match signal:
        case Signal.TRACES:
            resources = ExportTraceServiceRequest.FromString(body).resource_spans
            return {s.span_id.hex() for group in resources for scope in group.scope_spans for s in scope.spans}
        case Signal.LOGS:
            logs = ExportLogsServiceRequest.FromString(body).resource_logs
            records = [record for group in logs for scope in group.scope_logs for record in scope.log_records]
            return {f"{record.time_unix_nano}/{_value_of(record, 'event.sequence')}" for record in records}
        case Signal.METRICS:
            groups = ExportMetricsServiceRequest.FromString(body).resource_metrics
            metrics = [metric for group in groups for scope in group.scope_metrics for metric in scope.metrics]
            points = [(metric.name, point) for metric in metrics for point in metric.sum.data_points]
            return {f"{name}/{point.time_unix_nano}/{[*point.attributes]}" for name, point in points}


def _value_of(record: LogRecord, key: str) -> int:
    return next((pair.value.int_value for pair in record.attributes if pair.key == key), -1)


def _spans(body: bytes) -> Iterator[bytes]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                request = ExportTraceServiceRequest()
                group = request.resource_spans.add(resource=resource.resource)
                group.scope_spans.add(scope=scope.scope).spans.append(span)
                yield request.SerializeToString()


def _logs(body: bytes) -> Iterator[bytes]:
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                request = ExportLogsServiceRequest()
                group = request.resource_logs.add(resource=resource.resource)
                group.scope_logs.add(scope=scope.scope).log_records.append(record)
                yield request.SerializeToString()


def _points(body: bytes) -> Iterator[bytes]:
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.sum.data_points:
                    request = ExportMetricsServiceRequest()
                    group = request.resource_metrics.add(resource=resource.resource)
                    one = group.scope_metrics.add(scope=scope.scope).metrics.add()
                    one.CopyFrom(metric)
                    del one.sum.data_points[:]
                    one.sum.data_points.append(point)
                    yield request.SerializeToString()
