"""OTLP bodies as the records that an SDK hands to its exporters, and a plug-in whose output can be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opentelemetry._logs import LogRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.money import picousd_of_double
from spanledger.core.semconv import METRICS, Metric, Quantity
from spanledger.sdk import Pricer, SpanledgerLogExporter, SpanledgerSpanExporter
from support.replaying import list_prices
from support.serving import CENTURY_SECONDS


def settings_with(**more: str) -> Settings:
    """Settings of a plug-in; captures keep their own times. `more` has `__` for the dots of a key."""
    flags = {"settle.clock_skew_max_seconds": str(CENTURY_SECONDS)}
    return load_settings(None, {}, flags | {key.replace("__", "."): value for key, value in more.items()})


class Plugged:
    """Both plug-in exporters of one program, what came out behind them, and its metrics."""

    def __init__(self, **settings: str) -> None:
        self.reader = InMemoryMetricReader()
        provider = MeterProvider([self.reader])
        self.spans, self.logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
        pricer = Pricer(settings_with(**settings), meter_provider=provider, prices=list_prices())
        self.span_exporter = SpanledgerSpanExporter(self.spans, pricer=pricer)
        self.log_exporter = SpanledgerLogExporter(self.logs, pricer=pricer)

    def send(self, *records: ReadableSpan | ReadableLogRecord) -> None:
        """Export records one by one, in order."""
        for record in records:
            if isinstance(record, ReadableSpan):
                self.span_exporter.export([record])
            else:
                self.log_exporter.export([record])

    def points(self) -> dict[str, list[tuple[dict, float | int]]]:
        """Every data point by metric name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: [(dict(point.attributes), point.value) for point in metric.data.data_points]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def total(self, metric: Metric) -> int:
        """Sum of a metric over its series, in pico-USD or as a count."""
        values = [value for _, value in self.points().get(metric, [])]
        is_money = METRICS[metric].quantity is Quantity.MONEY
        return sum(picousd_of_double(value) if is_money else int(value) for value in values)


@dataclass(frozen=True)
class Call:
    """Where a record of a program stands, in small numbers."""

    span: int = 1
    parent: int = 0
    trace: int = 1


def gen_ai_span(
    attributes: dict, call: Call | None = None, *, name: str = "chat", scope: str = "app", schema_url: str = ""
) -> ReadableSpan:
    """A span as an instrumentation library makes it."""
    at = call or Call()
    return ReadableSpan(
        name=name,
        context=_context(at.trace, at.span),
        parent=_context(at.trace, at.parent) if at.parent else None,
        resource=Resource({"service.name": "app"}),
        attributes=attributes,
        start_time=1_795_000_000 * 10**9,
        end_time=1_795_000_001 * 10**9,
        instrumentation_scope=InstrumentationScope(scope, "1", schema_url),
    )


def gen_ai_log(attributes: dict, call: Call | None = None, *, event_name: str = "") -> ReadableLogRecord:
    """An event in the context of a span."""
    at = call or Call()
    inside = set_span_in_context(NonRecordingSpan(_context(at.trace, at.span)))
    record = LogRecord(
        timestamp=1_795_000_001 * 10**9, context=inside, attributes=attributes, event_name=event_name or None
    )
    return ReadableLogRecord(record, Resource({"service.name": "app"}))


def sdk_spans(body: bytes) -> Iterator[ReadableSpan]:
    """The spans of a request body as SDK objects."""
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = Resource(_attributes(group.resource.attributes))
        for scope in group.scope_spans:
            for span in scope.spans:
                trace = int.from_bytes(span.trace_id, "big")
                parent = int.from_bytes(span.parent_span_id, "big")
                yield ReadableSpan(
                    name=span.name,
                    context=_context(trace, int.from_bytes(span.span_id, "big")),
                    parent=_context(trace, parent) if parent else None,
                    resource=resource,
                    attributes=_attributes(span.attributes),
                    start_time=span.start_time_unix_nano,
                    end_time=span.end_time_unix_nano,
                    instrumentation_scope=InstrumentationScope(scope.scope.name, scope.scope.version),
                )


def sdk_logs(body: bytes) -> Iterator[ReadableLogRecord]:
    """The log records of a request body as SDK objects."""
    for group in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = Resource(_attributes(group.resource.attributes))
        for scope in group.scope_logs:
            for log in scope.log_records:
                trace, span = int.from_bytes(log.trace_id, "big"), int.from_bytes(log.span_id, "big")
                record = LogRecord(
                    timestamp=log.time_unix_nano,
                    observed_timestamp=log.observed_time_unix_nano,
                    context=set_span_in_context(NonRecordingSpan(_context(trace, span))),
                    body=log.body.string_value or None,
                    attributes=_attributes(log.attributes),
                )
                yield ReadableLogRecord(record, resource)


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(1))


def _attributes(pairs: Sequence[KeyValue]) -> dict:
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
    return {key: value for key, value in values.items() if isinstance(value, str | bool | int | float)}
