"""Redaction on the wire: every attribute of every kind of record, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from spanledger.core.redaction import Action, Redaction, RedactionRule
from spanledger.core.usage import Signal
from spanledger.otlp.redact import redact
from support.replaying import read_folder
from support.serving import REQUESTS
from support.splitting import protobuf_body
from support.truth import CAPTURES, capture_folders

SECRET = "jane@example.test"
SALT = b"0123456789abcdef"


def redaction(*rules: RedactionRule) -> Redaction:
    return Redaction(rules, SALT)


DROP = redaction(RedactionRule(("secret",), Action.DROP))
HASH = redaction(RedactionRule(("secret",), Action.HASH))


def pairs() -> list[KeyValue]:
    """A secret at the top, in a list of maps, and something else."""
    secret = KeyValue(key="secret", value=AnyValue(string_value=SECRET))
    inner = AnyValue(kvlist_value=KeyValueList(values=[secret, KeyValue(key="kept", value=AnyValue(int_value=7))]))
    nested = AnyValue(array_value=ArrayValue(values=[inner, AnyValue(bool_value=True)]))
    return [secret, KeyValue(key="nested", value=nested), KeyValue(key="other", value=AnyValue(double_value=0.5))]


def traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs())
    scope = group.scope_spans.add()
    scope.scope.attributes.extend(pairs())
    span = scope.spans.add(name="s", attributes=pairs())
    span.events.add(name="e", attributes=pairs())
    span.links.add(attributes=pairs())
    return request


def logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.log_records.add(time_unix_nano=5, attributes=pairs())
    return request


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    exemplars = [Exemplar(filtered_attributes=pairs())]
    number = NumberDataPoint(attributes=pairs(), exemplars=exemplars)
    scope.metrics.add(name="a", metadata=pairs()).sum.data_points.append(number)
    scope.metrics.add(name="b").gauge.data_points.append(number)
    scope.metrics.add(name="c").histogram.data_points.append(
        HistogramDataPoint(attributes=pairs(), exemplars=exemplars)
    )
    exponential = ExponentialHistogramDataPoint(attributes=pairs(), exemplars=exemplars)
    scope.metrics.add(name="d").exponential_histogram.data_points.append(exponential)
    scope.metrics.add(name="e").summary.data_points.append(SummaryDataPoint(attributes=pairs()))
    return request


EVERYWHERE = {Signal.TRACES: (traces, 5), Signal.LOGS: (logs, 1), Signal.METRICS: (metrics, 10)}


@pytest.mark.parametrize("signal", list(Signal))
def test_no_place_for_attributes_is_forgotten(signal: Signal) -> None:
    make, places = EVERYWHERE[signal]
    body = make().SerializeToString()
    assert body.count(SECRET.encode()) == 2 * places
    dropped = redact(signal, body, DROP).body
    assert SECRET.encode() not in dropped
    text = MessageToJson(REQUESTS[signal].FromString(dropped))
    assert (text.count('"secret"'), text.count('"kept"'), text.count('"other"')) == (0, places, places)
    hashed = redact(signal, body, HASH).body
    assert SECRET.encode() not in hashed
    assert hashed.count(HASH.hashed(SECRET).encode()) == 2 * places


def test_a_pattern_changes_only_the_parts_of_texts_that_match(tmp_path: Path) -> None:
    email = re.compile(r"[\w.]+@[\w.]+")
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.attributes.append(KeyValue(key="note", value=AnyValue(string_value=f"ask {SECRET}, not {SECRET}.au")))
    record.attributes.append(KeyValue(key="n", value=AnyValue(int_value=3)))
    rule = redaction(RedactionRule(("*",), Action.DROP, email))
    changed = ExportLogsServiceRequest.FromString(redact(Signal.LOGS, request.SerializeToString(), rule).body)
    note, number = changed.resource_logs[0].scope_logs[0].log_records[0].attributes
    assert note.value.string_value == "ask [dropped], not [dropped]"
    assert number.value.int_value == 3


def test_rules_of_a_map_and_of_a_key_in_it_both_do_their_part() -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    texts = {key: AnyValue(string_value="ask jane, room 42") for key in ("who", "secret", "kept")}
    inner = KeyValueList(values=[KeyValue(key=key, value=text) for key, text in texts.items()])
    record.attributes.append(KeyValue(key="talk", value=AnyValue(kvlist_value=inner)))
    rules = redaction(
        RedactionRule(("talk",), Action.DROP, re.compile(r"\d+")),
        RedactionRule(("who",), Action.DROP, re.compile(r"jane")),
        RedactionRule(("secret",), Action.DROP),
    )
    changed = ExportLogsServiceRequest.FromString(redact(Signal.LOGS, request.SerializeToString(), rules).body)
    (talk,) = changed.resource_logs[0].scope_logs[0].log_records[0].attributes
    assert {pair.key: pair.value.string_value for pair in talk.value.kvlist_value.values} == {
        "who": "ask [dropped], room [dropped]",
        "kept": "ask jane, room [dropped]",
    }


def test_a_value_that_is_no_text_is_hashed_to_text() -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.attributes.append(KeyValue(key="secret", value=AnyValue(int_value=42)))
    changed = ExportLogsServiceRequest.FromString(redact(Signal.LOGS, request.SerializeToString(), HASH).body)
    (pair,) = changed.resource_logs[0].scope_logs[0].log_records[0].attributes
    assert len(pair.value.string_value) == 32


@pytest.mark.parametrize("folder", capture_folders(), ids=lambda folder: str(folder.relative_to(CAPTURES)))
def test_what_no_rule_concerns_keeps_its_bytes(folder: Path) -> None:
    for body in read_folder(folder):
        whole = protobuf_body(body.delivery)
        assert redact(body.delivery.signal, whole, DROP).body is whole


def test_a_record_that_cannot_be_read_is_left_out_alone() -> None:
    good = logs().SerializeToString()
    bad = ExportLogsServiceRequest()
    bad.resource_logs.add().scope_logs.add()
    # A record whose attribute runs past its end, in a frame that is sound.
    record = b"\x32\x7fsecret " + SECRET.encode()
    scope = b"\x12" + bytes([len(record)]) + record
    group = b"\x12" + bytes([len(scope)]) + scope
    body = good + b"\x0a" + bytes([len(group)]) + group
    redacted = redact(Signal.LOGS, body, DROP)
    assert SECRET.encode() not in redacted.body
    assert [problem.reason for problem in redacted.problems] == ["unreadable_record"]
    assert len(ExportLogsServiceRequest.FromString(redacted.body).resource_logs[0].scope_logs[0].log_records) == 1


def log_body(body: AnyValue, *rules: RedactionRule) -> AnyValue:
    """A log record's body after redaction."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(body=body)
    changed = ExportLogsServiceRequest.FromString(
        redact(Signal.LOGS, request.SerializeToString(), redaction(*rules)).body
    )
    return changed.resource_logs[0].scope_logs[0].log_records[0].body


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("claude_code.api_request", "claude_code.api_request"),
        ("claude_code.api_request of jane", "[dropped]"),
        ("what the user said", "[dropped]"),
        ("", "[dropped]"),
    ],
)
def test_a_log_body_is_dropped_where_it_is_no_event_of_the_client(text: str, left: str) -> None:
    """Dropped bodies leave a word: an `api_request` without a body is a call, and one with another body is none."""
    assert log_body(AnyValue(string_value=text), RedactionRule(("body",), Action.DROP)).string_value == left


def test_a_log_body_that_is_not_there_stays_so() -> None:
    assert log_body(AnyValue(), RedactionRule(("*",), Action.DROP)) == AnyValue()


def test_rules_go_down_into_a_log_body() -> None:
    body = AnyValue(kvlist_value=KeyValueList(values=pairs()))
    left = log_body(body, RedactionRule(("secret",), Action.DROP))
    assert [pair.key for pair in left.kvlist_value.values] == ["nested", "other"]
    assert log_body(AnyValue(string_value=SECRET), RedactionRule(("body",), Action.HASH)) == AnyValue(
        string_value=HASH.hashed(SECRET)
    )


def test_the_message_of_a_status_goes_by_its_own_key() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="s")
    span.status.code, span.status.message = 2, f"failed for {SECRET}"
    email = re.compile(r"[\w.]+@[\w.]+")
    for rule, left in (
        (RedactionRule(("status.message",), Action.DROP), ""),
        (RedactionRule(("*",), Action.DROP, email), "failed for [dropped]"),
        (RedactionRule(("message",), Action.DROP), f"failed for {SECRET}"),
    ):
        body = redact(Signal.TRACES, request.SerializeToString(), redaction(rule)).body
        status = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0].status
        assert (status.code, status.message) == (2, left)
