"""Enrichment as bytes against the same done with protobuf messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from spanledger.core.batch import Scalar
from spanledger.core.errors import PermanentError
from spanledger.core.usage import Signal
from spanledger.otlp.enrich import enrich

KEYS = ("spanledger.status", "gen_ai.usage.input_tokens", "model", "k" * 300)
scalars = st.one_of(
    st.booleans(),
    st.text(max_size=300),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
attributes = st.dictionaries(st.sampled_from(KEYS), scalars, max_size=4)


def any_value(value: Scalar) -> AnyValue:
    kind = {bool: "bool_value", str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    return AnyValue(**{kind: value})


def pairs(values: dict[str, Scalar]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


@st.composite
def requests(draw: st.DrawFn) -> tuple[Signal, ExportTraceServiceRequest | ExportLogsServiceRequest, list]:
    """A request of either signal, and its records in order."""
    signal = draw(st.sampled_from([Signal.TRACES, Signal.LOGS]))
    is_traces = signal is Signal.TRACES
    request = ExportTraceServiceRequest() if is_traces else ExportLogsServiceRequest()
    records = []
    for _ in range(draw(st.integers(0, 3))):
        group = (request.resource_spans if is_traces else request.resource_logs).add()
        group.resource.attributes.extend(pairs(draw(attributes)))
        for _ in range(draw(st.integers(0, 2))):
            scope = (group.scope_spans if is_traces else group.scope_logs).add(schema_url=draw(st.text(max_size=5)))
            for _ in range(draw(st.integers(0, 3))):
                record = (scope.spans if is_traces else scope.log_records).add()
                record.attributes.extend(pairs(draw(attributes)))
                record.trace_id = draw(st.binary(max_size=16))
                if is_traces:
                    record.name = draw(st.text(max_size=200))
                    record.events.add(name=draw(st.text(max_size=5)))
                else:
                    record.body.string_value = draw(st.text(max_size=200))
                records.append(record)
    return signal, request, records


@given(requests(), st.data())
def test_only_the_attributes_of_the_named_records_change(built: tuple, data: st.DataObject) -> None:
    signal, request, records = built
    body = request.SerializeToString()
    places = st.integers(0, len(records) - 1) if records else st.nothing()
    additions = data.draw(st.dictionaries(places, attributes))
    enriched = enrich(signal, body, additions)
    for place, wanted in additions.items():
        kept = [pair for pair in records[place].attributes if pair.key not in wanted]
        del records[place].attributes[:]
        records[place].attributes.extend([*kept, *pairs(wanted)])
    assert type(request).FromString(enriched) == request
    if not any(additions.values()):
        assert enriched is body


def test_unknown_fields_and_groups_stay_where_they_are() -> None:
    # Field 99 as number, 98 as a group that holds a number, 97 as 4 bytes, 96 as 8 bytes, in span and request.
    unknown = b"\x98\x06\x05" + b"\x93\x06\x08\x01\x94\x06" + b"\x8d\x06abcd" + b"\x81\x06abcdefgh"
    span = unknown + b"\x2a\x01n" + unknown
    scope = b"\x12" + bytes([len(span)]) + span
    group = b"\x12" + bytes([len(scope)]) + scope
    body = unknown + b"\x0a" + bytes([len(group)]) + group + unknown
    enriched = enrich(Signal.TRACES, body, {0: {"a": True}})
    assert enriched.startswith(unknown)
    assert enriched.endswith(unknown)
    assert span + b"\x4a\x07\x0a\x01a\x12\x02\x10\x01" in enriched
    (found,) = ExportTraceServiceRequest.FromString(enriched).resource_spans[0].scope_spans[0].spans
    assert [(pair.key, pair.value.bool_value) for pair in found.attributes] == [("a", True)]


@pytest.mark.parametrize("body", [b"\x0a\x05ab", b"\x0a" + b"\xff" * 11, b"\x0f", b"\x0b\x14", b"\x08"])
def test_broken_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(PermanentError):
        enrich(Signal.TRACES, body, {0: {"a": 1}})
