"""A client that tells of calls that never were: request bodies as Claude Code writes them, from a few figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.usage import Signal

SECOND = 10**9
NOW = 1_795_500_000 * SECOND  # 2026-11-24T06:00:00Z
DELTA, CUMULATIVE = 1, 2

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a call as its records count them; `write_5m` and `write_1h` are None when a client does not say."""

    input: int = 0
    output: int = 0
    read: int = 0
    write: int = 0
    write_5m: int | None = None
    write_1h: int | None = None

    def attributes(self) -> dict[str, Value]:
        split = {"cache_creation_5m_tokens": self.write_5m, "cache_creation_1h_tokens": self.write_1h}
        return {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_read_tokens": self.read,
            "cache_creation_tokens": self.write,
            **{key: value for key, value in split.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class Client:
    """A client process. `sender` holds further attributes of every record, `resource` of the resource."""

    session: str = "session-1"
    version: str = "2.1.330"
    user: str = "user-1"
    sender: Mapping[str, Value] = field(default_factory=dict)
    resource: Mapping[str, Value] = field(default_factory=dict)

    def log(self, request_id: str | None, model: str, usage: Usage, *, at: int = NOW, **more: Value) -> Delivery:
        """An `api_request` event. `more` are further attributes; None takes one away."""
        return self.logs([self.event(request_id, model, usage, **more)], at=at)

    def event(self, request_id: str | None, model: str, usage: Usage, **more: Value) -> dict[str, Value]:
        """Attributes of an `api_request` event."""
        return {
            **self._sender(),
            "event.name": "api_request",
            "model": model,
            **usage.attributes(),
            "request_id": request_id,
            "query_source": "repl_main_thread",
            "duration_ms": 1000,
            **more,
        }

    def logs(
        self, events: Sequence[Mapping[str, Value]], *, at: int = NOW, trace: str = "", parent: str = ""
    ) -> Delivery:
        """Log events in one request."""
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        scope = group.scope_logs.add()
        for event in events:
            record = scope.log_records.add(
                time_unix_nano=at, trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(parent)
            )
            record.attributes.extend(_pairs(event))
            record.body.string_value = f"claude_code.{event['event.name']}"
        return Delivery(Signal.LOGS, Encoding.PROTOBUF, request.SerializeToString())

    def span(
        self,
        request_id: str | None,
        model: str,
        usage: Usage,
        *,
        at: int = NOW,
        name: str = "llm_request",
        trace: str = "aa" * 16,
        parent: str = "bb" * 8,
        span: str = "cc" * 8,
        seconds: float = 1,
        **more: Value,
    ) -> Delivery:
        """A span that ends at a time; by default an `llm_request`."""
        facts = {"model": model, **usage.attributes(), "request_id": request_id, "query_source_safe": "sdk"}
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        group.scope_spans.add().spans.add(
            name=f"claude_code.{name}",
            trace_id=bytes.fromhex(trace),
            parent_span_id=bytes.fromhex(parent),
            span_id=bytes.fromhex(span),
            start_time_unix_nano=at - int(seconds * SECOND),
            end_time_unix_nano=at,
            attributes=_pairs({**self._sender(), **(facts if name == "llm_request" else {}), **more}),
        )
        return Delivery(Signal.TRACES, Encoding.PROTOBUF, request.SerializeToString())

    def sums(
        self,
        model: str,
        usage: Usage,
        cost_usd: float,
        *,
        start: int,
        end: int = NOW,
        temporality: int = DELTA,
        query_class: str = "main",
        **more: Value,
    ) -> Delivery:
        """The cost sum and the four token sums of one line."""
        facts = {"model": model, "query_source": query_class, **more}
        counts = {"input": usage.input, "output": usage.output, "cacheRead": usage.read, "cacheCreation": usage.write}
        points = [("claude_code.cost.usage", facts, cost_usd)]
        points += [("claude_code.token.usage", {**facts, "type": kind}, float(n)) for kind, n in counts.items()]
        return self.points(points, start=start, end=end, temporality=temporality)

    def points(
        self,
        points: Sequence[tuple[str, Mapping[str, Value], float]],
        *,
        start: int,
        end: int = NOW,
        temporality: int = DELTA,
    ) -> Delivery:
        """Points of sums, given as name, attributes, value."""
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        group.resource.attributes.extend(_pairs(self._resource()))
        scope = group.scope_metrics.add()
        for name, attributes, value in points:
            total = scope.metrics.add(name=name).sum
            total.aggregation_temporality, total.is_monotonic = temporality, True
            total.data_points.add(
                attributes=_pairs({**self._sender(), **attributes}),
                start_time_unix_nano=start,
                time_unix_nano=end,
                as_double=value,
            )
        return Delivery(Signal.METRICS, Encoding.PROTOBUF, request.SerializeToString())

    def _sender(self) -> dict[str, Value]:
        return {"session.id": self.session or None, "user.id": self.user, **self.sender}

    def _resource(self) -> dict[str, Value]:
        return {"service.name": "claude-code", "service.version": self.version, **self.resource}


def _pairs(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items() if value is not None]


def _any(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=value)
        case _:
            return AnyValue(double_value=value)
