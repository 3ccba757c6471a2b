"""SDK records as core values, and copies of them with our attributes. The originals are shared and never changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import format_span_id, format_trace_id

from spanledger.core.batch import LogData, Scalar, SpanData
from spanledger.core.genai import EVENT_INFERENCE, GenAiUsage, InputTokens, gen_ai_usage
from spanledger.core.semconv import BODY_API_REQUEST, EVENT_API_REQUEST, SPAN_LLM_REQUEST, In


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that is a model call. `gen_ai` is None for a record of Claude Code's own.

    `place` names the span that a record of the GenAI conventions is of, `parent` the one around a span.
    """

    data: SpanData | LogData
    place: str
    parent: str
    gen_ai: GenAiUsage | None


def span_candidate(span: ReadableSpan, input_tokens: InputTokens) -> Candidate | None:
    """Read a span; None when it is not a model call."""
    context = span.get_span_context()
    if context is None:
        return None
    attributes = _scalars(span.attributes)
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    parent_id = "" if span.parent is None else format_span_id(span.parent.span_id)
    place = f"{trace_id}:{span_id}"
    usage = None
    if span.name != SPAN_LLM_REQUEST:
        usage = _usage(attributes, span.instrumentation_scope, place, input_tokens)
        if usage is None:
            return None
    data = SpanData(
        resource=_scalars(span.resource.attributes),
        attributes=attributes if usage is None else usage.attributes,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_id,
        start_unix_nano=span.start_time or 0,
        end_unix_nano=span.end_time or 0,
    )
    return Candidate(data, place if usage else "", f"{trace_id}:{parent_id}" if parent_id else "", usage)


def log_candidate(log: ReadableLogRecord, input_tokens: InputTokens) -> Candidate | None:
    """Read a log record; None when it does not describe a model call."""
    record = log.log_record
    attributes = _scalars(record.attributes)
    name = attributes.get(In.EVENT_NAME) or record.event_name
    trace_id = format_trace_id(record.trace_id) if record.trace_id else ""
    span_id = format_span_id(record.span_id) if record.span_id else ""
    place = f"{trace_id}:{span_id}" if trace_id and span_id else ""
    usage = None
    if name == EVENT_INFERENCE:
        usage = _usage(attributes, log.instrumentation_scope, place, input_tokens)
    if usage is None and (name != EVENT_API_REQUEST or record.body not in (None, BODY_API_REQUEST)):
        return None
    data = LogData(
        resource=_scalars(log.resource.attributes),
        attributes=attributes if usage is None else usage.attributes,
        trace_id=trace_id,
        span_id=span_id,
        time_unix_nano=record.timestamp or record.observed_timestamp or 0,
    )
    return Candidate(data, place if usage else "", "", usage)


def _usage(
    attributes: Mapping[str, Scalar], scope: InstrumentationScope | None, place: str, input_tokens: InputTokens
) -> GenAiUsage | None:
    return gen_ai_usage(
        attributes,
        scope_name="" if scope is None else scope.name,
        schema_url="" if scope is None else scope.schema_url or "",
        call_id=place,
        input_tokens=input_tokens,
    )


class PricedSpan(ReadableSpan):
    """A span with attributes added; all else, counts of what was dropped included, is the original's."""

    def __init__(self, original: ReadableSpan, added: Mapping[str, Scalar]) -> None:
        super().__init__(
            name=original.name,
            context=original.get_span_context(),
            parent=original.parent,
            resource=original.resource,
            attributes={**(original.attributes or {}), **added},
            events=original.events,
            links=original.links,
            kind=original.kind,
            status=original.status,
            start_time=original.start_time,
            end_time=original.end_time,
            instrumentation_scope=original.instrumentation_scope,
        )
        self._original = original

    @property
    def dropped_attributes(self) -> int:
        """Attributes that the SDK's limits left out."""
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """Events that the SDK's limits left out."""
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        """Links that the SDK's limits left out."""
        return self._original.dropped_links


@dataclass(frozen=True)
class PricedLogRecord(ReadableLogRecord):
    """A log record with attributes added; `dropped` is how many attributes the SDK's limits left out."""

    dropped: int = 0

    @property
    def dropped_attributes(self) -> int:
        """Attributes that the SDK's limits left out."""
        return self.dropped


def priced_log(original: ReadableLogRecord, added: Mapping[str, Scalar]) -> PricedLogRecord:
    """Copy a log record and add attributes."""
    record = copy.copy(original.log_record)
    record.attributes = {**(record.attributes or {}), **added}
    return PricedLogRecord(
        log_record=record,
        resource=original.resource,
        instrumentation_scope=original.instrumentation_scope,
        limits=original.limits,
        dropped=original.dropped_attributes,
    )


def _scalars(attributes: Mapping[str, object] | None) -> dict[str, Scalar]:
    """Attributes with a scalar value, as a decoder hands them over."""
    return {key: value for key, value in (attributes or {}).items() if isinstance(value, str | int | float | bool)}
