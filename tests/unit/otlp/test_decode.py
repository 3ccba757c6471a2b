"""Decoding: what is a model call is decided by structure, never by text; every attribute type is read."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from spanledger.core.errors import PermanentError
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from support.hostile import request as request_of


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def spans_of(*names: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in names:
        scope.spans.add(name=name)
    return request


def logs_of(*records: tuple[str, str]) -> ExportLogsServiceRequest:
    """Records of (body, event.name)."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for body, event in records:
        record = scope.log_records.add()
        record.body.string_value = body
        if event:
            record.attributes.append(text("event.name", event))
    return request


def test_spans_are_chosen_by_their_name() -> None:
    body = spans_of("GET /", "claude_code.llm_request", "claude_code.llm_requests", "claude_code.interaction")
    batch = decode(Signal.TRACES, body.SerializeToString())
    assert (batch.items, batch.places, len(batch.spans)) == (4, (1,), 1)
    assert batch.waits_for_join


def test_quoted_text_forges_no_span() -> None:
    """A tool's output may hold the bytes of a whole span."""
    forged = spans_of("claude_code.llm_request").SerializeToString()
    request = spans_of("claude_code.tool")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.append(text("output", forged.decode("latin-1")))
    span.attributes.append(KeyValue(key="raw", value=AnyValue(bytes_value=forged)))
    span.events.add(name="claude_code.llm_request")
    span.status.message = "claude_code.llm_request"
    assert decode(Signal.TRACES, request.SerializeToString()).spans == ()


def test_log_records_are_chosen_by_event_name_or_body() -> None:
    body = logs_of(
        ("claude_code.api_request", "api_request"),
        ("something else", "api_request"),
        ("claude_code.api_request", ""),
        ("claude_code.api_error", "api_error"),
        ("the model said: claude_code.api_request", "user_prompt"),
        ("", ""),
    )
    batch = decode(Signal.LOGS, body.SerializeToString())
    assert batch.items == 6
    assert 0 in batch.places
    assert not {3, 4, 5} & set(batch.places)


def test_every_kind_of_value_is_read_or_left_out() -> None:
    request = spans_of("claude_code.llm_request")
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    values = {
        "text": AnyValue(string_value="ü"),
        "nul": AnyValue(string_value="a\0b"),
        "long nul": AnyValue(string_value="\0" * 200),
        "yes": AnyValue(bool_value=True),
        "no": AnyValue(bool_value=False),
        "large": AnyValue(int_value=2**63 - 1),
        "negative": AnyValue(int_value=-1),
        "double": AnyValue(double_value=0.5),
        "array": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])),
        "bytes": AnyValue(bytes_value=b"x"),
        "unset": AnyValue(),
    }
    attributes.extend(KeyValue(key=key, value=value) for key, value in values.items())
    (span,) = decode(Signal.TRACES, request.SerializeToString()).spans
    assert span.attributes == {
        "text": "ü",
        "nul": "a\ufffdb",
        "long nul": "\ufffd" * 200,
        "yes": True,
        "no": False,
        "large": 2**63 - 1,
        "negative": -1,
        "double": 0.5,
    }


def test_only_sums_of_the_client_that_we_know_are_read() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    cost = metrics.add(name="claude_code.cost.usage").sum
    cost.aggregation_temporality = 1
    cost.data_points.add(as_double=0.5)
    cost.data_points.add(flags=1)  # says that it holds no value
    metrics.add(name="claude_code.unheard_of").sum.data_points.add(as_int=1)
    metrics.add(name="http.server.duration").gauge.data_points.add(as_double=1)
    batch = decode(Signal.METRICS, request.SerializeToString())
    assert batch.items == 4
    assert batch.problems == ()
    assert [(point.metric, point.value) for point in batch.points] == [("claude_code.cost.usage", 0.5)]


def test_a_control_point_that_cannot_be_used_is_a_problem_of_its_own() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="claude_code.cost.usage").sum.data_points.add(as_double=0.5)
    delta = metrics.add(name="claude_code.token.usage").sum
    delta.aggregation_temporality = 1
    delta.data_points.add()
    delta.data_points.add(as_int=7)
    batch = decode(Signal.METRICS, request.SerializeToString())
    assert [point.value for point in batch.points] == [7]
    assert [(problem.reason, problem.detail) for problem in batch.problems] == [
        (Reason.BAD_POINT, "claude_code.cost.usage: a data point without temporality"),
        (Reason.BAD_POINT, "claude_code.token.usage: a data point without value"),
    ]


@pytest.mark.parametrize("signal", list(Signal))
def test_an_empty_body_is_an_empty_request(signal: Signal) -> None:
    assert decode(signal, b"").items == 0


@pytest.mark.parametrize("signal", list(Signal))
@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x7f", b"{}", b"\x0a\x02\x12\x05"])
def test_bytes_that_are_no_request_are_refused_with_the_signal(signal: Signal, body: bytes) -> None:
    with pytest.raises(PermanentError, match=signal.value):
        decode(signal, body)


A_SPAN = spans_of("claude_code.llm_request").resource_spans[0].scope_spans[0].spans[0]
A_LOG = logs_of(("claude_code.api_request", "api_request")).resource_logs[0].scope_logs[0].log_records[0]


@pytest.mark.parametrize(
    ("signal", "sound", "attributes", "reason"),
    [
        (Signal.TRACES, A_SPAN.SerializeToString(), b"\x4a", Reason.UNREADABLE_SPAN),
        (Signal.LOGS, A_LOG.SerializeToString(), b"\x32", Reason.UNREADABLE_LOG_RECORD),
    ],
)
def test_a_record_that_cannot_be_read_costs_only_itself(
    signal: Signal, sound: bytes, attributes: bytes, reason: Reason
) -> None:
    broken = sound + attributes + b"\x02\x0a\x7f"  # an attribute that runs past its end
    batch = decode(signal, request_of(sound, broken, sound))
    assert (batch.items, batch.places) == (3, (0, 2))
    assert [problem.reason for problem in batch.problems] == [reason]
