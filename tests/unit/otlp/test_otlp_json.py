"""OTLP/JSON by the specification, and what a real client writes."""

from __future__ import annotations

import json
import math

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.core.errors import PermanentError
from spanledger.core.usage import Signal
from spanledger.otlp.otlp_json import to_protobuf

TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def spans(*records: object) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(records)}]}]}).encode()


def attribute(value: object) -> bytes:
    return spans({"attributes": [{"key": "k", "value": value}]})


def only_value(body: bytes) -> object:
    converted = to_protobuf(Signal.TRACES, body)
    assert converted.problems == ()
    request = ExportTraceServiceRequest.FromString(converted.body)
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def test_ids_are_hex_and_times_are_numbers_or_text() -> None:
    body = spans(
        {"traceId": TRACE_ID, "spanId": SPAN_ID.upper(), "startTimeUnixNano": "1544712660000000000", "kind": 2},
        {"traceId": TRACE_ID, "spanId": SPAN_ID, "startTimeUnixNano": 1544712660000000000, "kind": 2},
    )
    request = ExportTraceServiceRequest.FromString(to_protobuf(Signal.TRACES, body).body)
    for span in request.resource_spans[0].scope_spans[0].spans:
        assert span.trace_id.hex() == TRACE_ID
        assert span.span_id.hex() == SPAN_ID
        assert span.start_time_unix_nano == 1544712660000000000
        assert span.kind == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "ü"}, "ü"),
        ({"boolValue": False}, False),
        ({"intValue": "9223372036854775807"}, 2**63 - 1),
        ({"intValue": -5}, -5),
        ({"intValue": 5.0}, 5),
        ({"doubleValue": 0.0064552}, 0.0064552),
        ({"doubleValue": "0.5"}, 0.5),
        ({"doubleValue": "-Infinity"}, -math.inf),
        ({"bytesValue": "AAE="}, b"\x00\x01"),
        ({"doubleValue": {}}, None),  # a real client writes this for NaN
        ({"stringValue": None}, None),
        ({}, None),
    ],
)
def test_every_kind_of_value(value: object, expected: object) -> None:
    assert only_value(attribute(value)) == expected


def test_unknown_fields_and_absent_ones_are_no_matter() -> None:
    body = json.dumps({"resourceLogs": [{"later": 1, "scopeLogs": [{"scope": None, "logRecords": [{"x": {}}]}]}]})
    converted = to_protobuf(Signal.LOGS, body.encode())
    request = ExportLogsServiceRequest.FromString(converted.body)
    assert len(request.resource_logs[0].scope_logs[0].log_records) == 1
    assert converted.problems == ()


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"resourceSpans": []}', b'{"resourceSpans": null}'])
def test_an_empty_request_is_empty(body: bytes) -> None:
    assert to_protobuf(Signal.TRACES, body).body == b""


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"traceId": "zz"}, "traceId"),
        ({"attributes": [{"key": "k", "value": {"intValue": "9223372036854775808"}}]}, "intValue"),
        ({"attributes": [{"key": "k", "value": {"intValue": 0.5}}]}, "intValue"),
        ({"kind": "SPAN_KIND_NEVER"}, "kind"),
        ({"name": 5}, "name"),
        (5, "spans"),
    ],
)
def test_a_bad_record_costs_only_itself_and_says_where(record: object, said: str) -> None:
    converted = to_protobuf(Signal.TRACES, spans({"name": "good"}, record, {"name": "also good"}))
    request = ExportTraceServiceRequest.FromString(converted.body)
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["good", "also good"]
    (problem,) = converted.problems
    assert said in problem.detail
    assert "[1]" in problem.detail


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"resourceSpans": 5}', "resourceSpans: is not an array"),
        (b'{"resourceSpans": [{"scopeSpans": {}}]}', "resourceSpans[0].scopeSpans: is not an array"),
    ],
)
def test_a_bad_frame_is_refused_with_its_place(body: bytes, said: str) -> None:
    with pytest.raises(PermanentError) as caught:
        to_protobuf(Signal.TRACES, body)
    assert said in str(caught.value)


def test_deep_nesting_ends_in_a_problem_not_in_a_crash() -> None:
    value: object = {"intValue": 1}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    (problem,) = to_protobuf(Signal.TRACES, attribute(value)).problems
    assert "nested deeper than" in problem.detail


def test_sums_keep_integers_and_doubles_apart() -> None:
    points = [{"asInt": "7", "timeUnixNano": "1"}, {"asDouble": 0.5}]
    metric = {"name": "m", "sum": {"dataPoints": points, "aggregationTemporality": 1, "isMonotonic": True}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    request = ExportMetricsServiceRequest.FromString(to_protobuf(Signal.METRICS, body).body)
    total = request.resource_metrics[0].scope_metrics[0].metrics[0].sum
    assert [point.WhichOneof("value") for point in total.data_points] == ["as_int", "as_double"]
    assert (total.aggregation_temporality, total.is_monotonic) == (1, True)
