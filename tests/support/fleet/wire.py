"""Request bodies of a simulated client, with the attributes that a real one writes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from support.fleet.calls import MILLISECOND, SECOND, Call

PICO = 10**12
_DELTA, _CUMULATIVE = 1, 2
_EFFORT = "medium"

Line = tuple[str, str, str, bool]
"""What a series is of: model asked for, class, agent, fast served."""

Value = str | int | float | bool


@dataclass(slots=True)
class LineSum:
    """A series: input, output, cache reads and cache writes since `start`, and what the client says they cost."""

    start: int
    counts: list[int]
    picousd: int = 0


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: what every record says of itself. `names_split`: whether the client tells 5m from 1h cache writes."""

    attributes: Mapping[str, Value]
    resource: Mapping[str, Value]
    is_cumulative: bool
    names_split: bool
    prefix: str

    def request_id(self, call: Call) -> str:
        return f"req_{self.prefix}_{call.number}"


def metrics_body(sender: Sender, sums: Mapping[Line, LineSum], end: int) -> bytes:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(_pairs(sender.resource))
    scope = group.scope_metrics.add()
    cost, tokens = (scope.metrics.add(name=f"claude_code.{name}.usage").sum for name in ("cost", "token"))
    for total in (cost, tokens):
        total.aggregation_temporality = _CUMULATIVE if sender.is_cumulative else _DELTA
        total.is_monotonic = True
    for (model, query_class, agent, fast), held in sums.items():
        facts = {**sender.attributes, "model": model, "query_source": query_class, "effort": _EFFORT}
        facts |= {"agent.name": agent} if agent else {}
        facts |= {"speed": "fast"} if fast else {}
        shared = _pairs(facts)
        when = {"start_time_unix_nano": held.start, "time_unix_nano": end}
        cost.data_points.add(attributes=shared, as_double=held.picousd / PICO, **when)
        for kind, amount in zip(("input", "output", "cacheRead", "cacheCreation"), held.counts, strict=True):
            point = tokens.data_points.add(attributes=shared, as_double=amount, **when)
            point.attributes.add(key="type").value.string_value = kind
    return request.SerializeToString()


def logs_body(sender: Sender, calls: Iterable[Call], multiplier: float) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(_pairs(sender.resource))
    scope = group.scope_logs.add()
    for call in calls:
        facts = {
            **sender.attributes,
            "event.name": "api_request",
            "event.sequence": call.number,
            "model": call.served,
            **_usage(call),
            "cost_usd": log_picousd(call) * multiplier / PICO,
            "request_id": sender.request_id(call),
            "query_source": call.source,
            "speed": "fast" if call.asked_fast else "normal",
            "effort": _EFFORT,
            "duration_ms": 2_000,
        }
        if sender.names_split:
            facts |= {"cache_creation_5m_tokens": call.count.write_5m, "cache_creation_1h_tokens": call.count.write_1h}
        record = scope.log_records.add(time_unix_nano=call.stamped, attributes=_pairs(facts))
        record.body.string_value = "claude_code.api_request"
    return request.SerializeToString()


def log_picousd(call: Call) -> int:
    """What the client's log event says: the cost of aborted attempts is in it."""
    attempts = (Call(0, 0, 0, call.served, call.asked, "", "", count) for count in call.aborted)
    return call.client_picousd + sum(attempt.client_picousd for attempt in attempts)


def spans_body(sender: Sender, calls: Iterable[Call], rng: random.Random) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(_pairs(sender.resource))
    scope = group.scope_spans.add()
    for call in calls:
        facts = {
            **sender.attributes,
            "model": call.asked,
            "gen_ai.request.model": call.asked,
            **_usage(call),
            "request_id": sender.request_id(call),
            "query_source_safe": call.source.replace(":", "."),
            "speed": "fast" if call.asked_fast else "normal",
            "duration_ms": 2_000,
        }
        scope.spans.add(
            name="claude_code.llm_request",
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            start_time_unix_nano=call.stamped - 2 * SECOND,
            end_time_unix_nano=call.stamped - rng.randint(0, 30) * MILLISECOND,
            attributes=_pairs(facts),
        )
    return request.SerializeToString()


def _usage(call: Call) -> dict[str, Value]:
    count = call.count
    return {
        "input_tokens": count.input,
        "output_tokens": count.output,
        "cache_read_tokens": count.read,
        "cache_creation_tokens": count.write,
    }


_KINDS = {str: "string_value", int: "int_value", float: "double_value", bool: "bool_value"}


def _pairs(facts: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(**{_KINDS[type(value)]: value})) for key, value in facts.items()]
