"""The exporters of the OpenTelemetry SDK for Python as clients of the service: an implementation that is not ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from spanledger.service.runtime import Addresses
from support.serving import running, standing

CALLS = 20
MODEL = "claude-haiku-5-5"
CALL = {
    "session.id": "s-1",
    "user.id": "u-1",
    "model": MODEL,
    "input_tokens": 100,
    "output_tokens": 10,
    "cache_read_tokens": 1000,
    "cache_creation_tokens": 0,
}
# Haiku 5.5: 100 x $0.10 + 10 x $0.50 + 1000 x $0.01, all per million = $0.000025 a call.
COST_USD = "0.0005"
"""20 calls x $0.000025."""


def grpc_exporters(addresses: Addresses) -> tuple:
    endpoint = f"http://{addresses.grpc}"
    return (
        GrpcSpanExporter(endpoint, insecure=True),
        GrpcLogExporter(endpoint, insecure=True),
        GrpcMetricExporter(endpoint, insecure=True),
    )


def http_exporters(addresses: Addresses) -> tuple:
    endpoint = f"http://{addresses.http}/v1"
    return (
        HttpSpanExporter(f"{endpoint}/traces", compression=Compression.Gzip),
        HttpLogExporter(f"{endpoint}/logs", compression=Compression.Gzip),
        HttpMetricExporter(f"{endpoint}/metrics", compression=Compression.Gzip),
    )


def emit(spans: object, logs: object, metrics: object) -> None:
    """Write calls as the client does: each a span and an event, and sums of tokens and cost."""
    resource = Resource.create({"service.name": "claude-code", "service.version": "2.1.330", "team.id": "core"})
    tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, export_interval_millis=10**6)], resource)
    tracers.add_span_processor(BatchSpanProcessor(spans, max_export_batch_size=7))
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs, max_export_batch_size=7))
    tracer, logger = tracers.get_tracer("com.anthropic.claude_code"), loggers.get_logger("com.anthropic.claude_code")
    cost = meters.get_meter("com.anthropic.claude_code").create_counter("claude_code.cost.usage", "USD")
    for number in range(CALLS):
        facts = {**CALL, "request_id": f"req_{number}"}
        with tracer.start_as_current_span("claude_code.llm_request", attributes=facts):
            event = {**facts, "event.name": "api_request", "query_source": "sdk", "cost_usd": 0.000025}
            logger.emit(LogRecord(timestamp=time.time_ns(), body="claude_code.api_request", attributes=event))
        cost.add(0.000025, {"model": MODEL, "session.id": "s-1", "user.id": "u-1", "query_source": "main"})
    for provider in (tracers, loggers, meters):
        provider.shutdown()


@pytest.mark.parametrize("exporters", [grpc_exporters, http_exporters], ids=["grpc", "http/protobuf gzip"])
def test_what_the_sdk_exports_is_priced_and_goes_on(exporters: Callable, tmp_path: Path) -> None:
    async def run() -> tuple[dict[Metric, int], list[str]]:
        async with running(tmp_path / "ledger.db") as up:
            await asyncio.to_thread(lambda: emit(*exporters(up.addresses)))
            await up.service.rest()
        spans = [s for body in up.sink.bodies[Signal.TRACES] for s in decode(Signal.TRACES, body).spans]
        return up.sink.metric_totals(), [s.attributes["spanledger.cost.list_usd"] for s in spans]

    arrived, span_costs = asyncio.run(run())
    left = standing(tmp_path / "ledger.db")
    report = left.figures.report
    assert left.problems == []
    assert report.cost_picousd == arrived[Metric.COST] == parse_usd(COST_USD)
    assert arrived == left.figures.metrics
    assert (report.requests, arrived[Metric.REQUESTS]) == (CALLS, CALLS)
    assert report.groups["by_team"]["core"].requests == CALLS
    assert left.figures.client_cost_picousd == parse_usd(COST_USD)
    assert span_costs == ["0.000025"] * CALLS
