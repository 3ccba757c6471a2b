"""The exporters that `OTEL_TRACES_EXPORTER=spanledger` and `OTEL_LOGS_EXPORTER=spanledger` select."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanledger.core.usage import Signal
from spanledger.sdk.pricer import Pricer, process_pricer
from spanledger.sdk.records import PricedSpan, log_candidate, priced_log, span_candidate
from spanledger.sdk.wrapped import make_exporter


class SpanledgerSpanExporter(SpanExporter):
    """Adds what model calls cost to their spans, counts it, and hands all spans to another exporter.

    Without arguments it is what the SDK makes of `OTEL_TRACES_EXPORTER=spanledger`: settings from the `SPANLEDGER_*`
    variables, the OTLP exporter of the standard variables behind it, metrics through the global MeterProvider.

    Raises:
        ConfigError: a setting or a price file cannot be used.
    """

    def __init__(self, exporter: SpanExporter | None = None, *, pricer: Pricer | None = None) -> None:
        self._pricer = pricer or process_pricer()
        sdk = self._pricer.settings.sdk
        self._inner = exporter or cast("SpanExporter", make_exporter(Signal.TRACES, sdk.traces_exporter))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans, those of model calls with their cost."""
        return self._inner.export([self._priced(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter behind this one down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter behind this one."""
        return self._inner.force_flush(timeout_millis)

    def _priced(self, span: ReadableSpan) -> ReadableSpan:
        candidate = span_candidate(span, self._pricer.settings.sdk.input_tokens)
        if candidate is None:
            return span
        added = self._pricer.attributes(candidate)
        return PricedSpan(span, added) if added else span


class SpanledgerLogExporter(LogRecordExporter):
    """The same for log records: `claude_code.api_request` events and inference events of the GenAI conventions.

    Raises:
        ConfigError: a setting or a price file cannot be used.
    """

    def __init__(self, exporter: LogRecordExporter | None = None, *, pricer: Pricer | None = None) -> None:
        self._pricer = pricer or process_pricer()
        sdk = self._pricer.settings.sdk
        self._inner = exporter or cast("LogRecordExporter", make_exporter(Signal.LOGS, sdk.logs_exporter))

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export log records, those of model calls with their cost."""
        return self._inner.export([self._priced(log) for log in batch])

    def shutdown(self) -> None:
        """Shut the exporter behind this one down."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter behind this one."""
        return self._inner.force_flush(timeout_millis)

    def _priced(self, log: ReadableLogRecord) -> ReadableLogRecord:
        candidate = log_candidate(log, self._pricer.settings.sdk.input_tokens)
        if candidate is None:
            return log
        added = self._pricer.attributes(candidate)
        return priced_log(log, added) if added else log
