"""The contract of the receivers as a table: what is sent, how it is answered, and a word of the answer.

`answer` is the HTTP status; gRPC answers with the code that `GRPC_CODES` has for it. A row is sent over every transport
that it has a body for: `pb` over gRPC and http/protobuf, `json` over http/json. Sizes are the settings' defaults.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from spanledger.config.receivers import Receiver
from spanledger.core.reasons import Reason
from support.hostile import (
    MIB,
    attribute,
    bomb,
    gzipped,
    log_record,
    metric,
    nested_array,
    nested_map,
    request,
    span,
    sparse,
    text,
)
from support.hostile import field as wire

LIMITS = Receiver()
GRPC_CODES = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    413: "RESOURCE_EXHAUSTED",
    431: "RESOURCE_EXHAUSTED",
}
GOOD_TOKEN = "a-token-of-the-contract-tests"
OTHER_TOKEN = "another-token-of-the-same-tenant"
HASHED_TOKEN = "a-token-that-the-file-has-only-as-its-hash"

Body = bytes | Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request and its answer. `only` keeps a row to HTTP or gRPC; `growth_mib` bounds the memory it may take.

    `reason` is how the refusal is counted: of the request, or of one record when the request is taken.
    `is_too_large_for_grpc` when gRPC's own library refuses it, which no counter of ours sees.
    """

    name: str
    answer: int = 200
    said: str = ""
    pb: Body | None = None
    json: Body | None = None
    signal: str = "traces"
    headers: dict[str, str] = field(default_factory=dict)
    token: str | None = f"Bearer {GOOD_TOKEN}"
    path: str = ""
    method: str = "POST"
    only: str = ""
    growth_mib: int = 64
    within_seconds: float = 20.0
    reason: Reason | None = None
    is_too_large_for_grpc: bool = False


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _spans(*spans: object) -> bytes:
    return _json({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


def _attributes(*attributes: object) -> bytes:
    return _spans({"name": "GET /", "attributes": list(attributes)})


def _value(value: object) -> bytes:
    return _attributes({"key": "k", "value": value})


def _nested_json(depth: int) -> bytes:
    begin, end = b'{"arrayValue":{"values":[', b"]}}"
    value = begin * depth + b'{"intValue":1}' + end * depth
    return _spans("X").replace(b'"X"', b'{"attributes":[{"key":"k","value":' + value + b"}]}")


def _of_size(size: int) -> bytes:
    """A request of exactly so many bytes: spans with a long text each."""
    spans = [span(attribute("filler", text(bytes(900_000)))) for _ in range(size // 900_000 - 1)]
    missing = size - len(request(*spans, span(attribute("filler", text(b"")))))
    for shorter in range(40):  # lengths take more bytes as they grow
        body = request(*spans, span(attribute("filler", text(bytes(missing - shorter)))))
        if len(body) == size:
            return body
    raise AssertionError(size)


def _many(count: int) -> list[object]:
    return [{"key": f"k{n}", "value": {"stringValue": "v"}} for n in range(count)]


def _log_body(size: int) -> bytes:
    return _json({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x" * size}}]}]}]})


GOOD_SPAN, GOOD_LOG = span(attribute("k", text("v"))), log_record(attribute("k", text("v")))
GOOD_POINT = wire(7, attribute("k", text("v"))) + b"\x31" + bytes(8)
GOOD = request(GOOD_SPAN)
GOOD_JSON = _spans({"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "GET /"})
EMPTY_JSON = b"{}"
TEN_MILLION = 10_000_000
NESTED_ARRAYS_MAX = (LIMITS.max_nesting_depth - 2) // 2
"""An attribute is a KeyValue and an AnyValue; an array is two messages more."""

FIELDS_LEFT = LIMITS.max_fields - 7
"""Elements of a list that the field limit leaves: ids and name are 3, the attribute 1, its key, value and list 3."""

NESTED_MAPS_MAX = (LIMITS.max_nesting_depth - 2) // 3

GOOD_ROWS = (
    Row(name="good traces", pb=GOOD, json=GOOD_JSON),
    Row(name="good logs", pb=request(GOOD_LOG), json=b'{"resourceLogs":[]}', signal="logs"),
    Row(name="good metrics", pb=request(metric(GOOD_POINT)), json=b'{"resourceMetrics":[]}', signal="metrics"),
    Row(name="empty body", pb=b"", json=b""),
    Row(name="empty JSON object", json=EMPTY_JSON),
    Row(name="white space and no JSON", json=b" \n"),
    Row(name="gzip", pb=gzipped(GOOD), json=gzipped(GOOD_JSON), headers={"content-encoding": "gzip"}),
    Row(name="gzip in two parts", pb=gzipped(GOOD[:9]) + gzipped(GOOD[9:]), headers={"content-encoding": "gzip"}),
    Row(name="gzip of an empty body", pb=gzipped(b""), json=gzipped(b""), headers={"content-encoding": "gzip"}),
    Row(name="deflate", pb=zlib.compress(GOOD), only="http", headers={"content-encoding": "deflate"}),
    Row(name="identity", pb=GOOD, json=GOOD_JSON, only="http", headers={"content-encoding": "identity"}),
    Row(name="charset parameter", json=GOOD_JSON, headers={"content-type": "application/json; charset=utf-8"}),
    Row(name="content type in capitals", json=GOOD_JSON, headers={"content-type": "APPLICATION/JSON"}),
    Row(name="query behind the path", pb=GOOD, only="http", path="/v1/traces?source=test"),
    Row(name="unknown field in a span", pb=request(span(more=wire(900, b"new")))),
    Row(name="unknown field in the frame", pb=GOOD + wire(900, b"new")),
    Row(name="unknown field as a group", pb=GOOD + b"\x9b\x06\x08\x01\x9c\x06"),
    Row(name="unknown JSON key", json=_spans({"name": "x", "newKey": {"a": [1]}})),
    Row(name="JSON null is absent", json=_spans({"name": None, "attributes": None})),
    Row(name="integer as text", json=_value({"intValue": "9007199254740993"})),
    Row(name="integer as number", json=_value({"intValue": 9007199254740993})),
    Row(name="enum by its name", json=_spans({"kind": "SPAN_KIND_SERVER"})),
    Row(name="enum of a later version", json=_spans({"kind": 99})),
    Row(name="ids in capitals", json=_spans({"traceId": "AB" * 16, "spanId": "CD" * 8})),
    Row(name="duplicate JSON key: the last one counts", json=b'{"resourceSpans":"x","resourceSpans":[]}'),
    Row(name="text that is not UTF-8 in another's span", pb=request(span(attribute("k", text(b"\xff\xfe"))))),
    Row(
        name="arrays as deep as allowed",
        pb=request(span(attribute("k", nested_array(NESTED_ARRAYS_MAX)))),
        json=_nested_json(NESTED_ARRAYS_MAX),
    ),
    Row(name="maps as deep as allowed", pb=request(span(attribute("k", nested_map(NESTED_MAPS_MAX))))),
    Row(
        name="as many attributes as allowed",
        pb=request(span(*(attribute(f"k{n}", text("v")) for n in range(LIMITS.max_attributes)))),
        json=_attributes(*_many(LIMITS.max_attributes)),
    ),
    Row(
        name="as many events as allowed",
        pb=request(span(more=wire(11, b"") * LIMITS.max_attributes)),
        json=_spans({"events": [{}] * LIMITS.max_attributes}),
    ),
    Row(
        name="a value as large as allowed",
        pb=lambda: request(span(attribute("k", text(bytes(LIMITS.max_value_bytes))))),
        json=lambda: _value({"stringValue": "x" * LIMITS.max_value_bytes}),
    ),
    Row(
        name="bytes as many as allowed in a value",
        pb=lambda: request(span(attribute("k", wire(7, bytes(LIMITS.max_value_bytes))))),
    ),
    Row(
        name="a list as large as allowed",
        pb=lambda: request(span(attribute("k", wire(5, text_in_list(LIMITS.max_value_bytes))))),
    ),
    Row(
        name="a log body as large as allowed",
        pb=lambda: request(log_record(more=wire(5, text(bytes(LIMITS.max_value_bytes))))),
        json=lambda: _log_body(LIMITS.max_value_bytes),
        signal="logs",
    ),
    Row(
        name="as many fields as allowed",
        pb=request(span(attribute("k", wire(5, wire(1, b"") * FIELDS_LEFT)))),
    ),
    Row(
        name="as many records as allowed",
        pb=request(*[b""] * LIMITS.max_records),
        json=_spans(*[{}] * LIMITS.max_records),
        growth_mib=96,
    ),
    Row(
        name="a body as large as allowed",
        pb=lambda: _of_size(LIMITS.max_request_bytes),
        json=lambda: b" " * (LIMITS.max_request_bytes - 2) + b"{}",
        growth_mib=256,
    ),
)


def text_in_list(size: int) -> bytes:
    """An ArrayValue of so many bytes, with one text."""
    inner = text(bytes(size - 8))  # a tag and a length of 3 bytes each around the text and around its value
    assert len(wire(1, inner)) == size
    return wire(1, inner)


SHAPE_ROWS = (
    Row(
        name="random bytes",
        reason=Reason.UNREADABLE_BODY,
        answer=400,
        said="not a protobuf export request",
        pb=b"\xde\xad\xbe\xef" * 9,
    ),
    Row(name="text for protobuf", answer=400, said="not a protobuf", pb=b"hello, receiver"),
    Row(name="JSON for protobuf", answer=400, said="not a protobuf", pb=GOOD_JSON),
    Row(name="protobuf for JSON", answer=400, said="not JSON", json=request(span(name="ÿ"))),
    Row(name="cut in the middle", answer=400, said="runs past the end", pb=GOOD[: len(GOOD) // 2]),
    Row(name="cut by one byte", answer=400, said="runs past the end", pb=GOOD[:-1]),
    Row(name="outer length that lies", answer=400, said="runs past the end", pb=b"\x0a\xff\x7f" + GOOD[2:]),
    Row(
        name="inner length that lies",
        reason=Reason.UNREADABLE_RECORD,
        answer=400,
        said="unreadable_record",
        pb=request(span(b"\x0a\x7fk")),
    ),
    Row(name="length that does not end", answer=400, said="does not end", pb=b"\x0a" + b"\xff" * 12),
    Row(name="wrong wire type of a group", answer=400, said="wire type 0", pb=b"\x08\x01"),
    Row(name="wrong wire type of a resource", answer=400, said="wire type 5", pb=wire(1, b"\x0d\x00\x00\x00\x00")),
    Row(name="wrong wire type of a span", answer=400, said="wire type 0", pb=wire(1, wire(2, b"\x10\x01"))),
    Row(name="field number 0", answer=400, said="no field 0", pb=b"\x02\x00"),
    Row(name="wire type that is none", answer=400, said="wire type 6", pb=b"\x0e\x00"),
    Row(name="group that is not closed", answer=400, said="does not end", pb=b"\x9b\x06\x08\x01"),
    Row(name="group closed as another", answer=400, said="closed as group", pb=b"\x9b\x06\x08\x01\xa4\x06"),
    Row(name="groups 300,000 deep", answer=400, said="groups inside one another", pb=b"\x9b\x06" * 300_000),
    Row(name="resource that is none", answer=400, said="a resource", pb=wire(1, wire(1, b"\x0a\x7f"))),
    Row(
        name="trace id of 15 bytes",
        reason=Reason.BAD_ID,
        answer=400,
        said="trace_id has 15",
        pb=request(span(trace_id=bytes(15))),
    ),
    Row(name="parent id of 7 bytes", answer=400, said="parent_span_id has 7", pb=request(span(more=wire(4, bytes(7))))),
    Row(
        name="trace id of a log of 3 bytes",
        answer=400,
        said="trace_id has 3",
        pb=request(log_record(more=wire(9, b"abc"))),
        signal="logs",
    ),
    Row(name="trace id that is no hex", answer=400, said="is not hexadecimal", json=_spans({"traceId": "zz" * 16})),
    Row(name="trace id of odd length", answer=400, said="is not hexadecimal", json=_spans({"traceId": "a" * 31})),
    Row(name="trace id too short", answer=400, said="trace_id has 4", json=_spans({"traceId": "ab" * 4})),
    Row(name="invalid JSON", answer=400, said="not JSON", json=b'{"resourceSpans":[}'),
    Row(name="JSON with something behind", answer=400, said="not JSON", json=GOOD_JSON + b"{}"),
    Row(name="JSON that is cut", answer=400, said="not JSON", json=GOOD_JSON[:-3]),
    Row(name="JSON with a byte order mark", answer=400, said="not JSON", json=b"\xef\xbb\xbf{}"),
    Row(name="JSON array", answer=400, said="not a JSON object but an array", json=b"[]"),
    Row(name="JSON text", answer=400, said="not a JSON object but text", json=b'"x"'),
    Row(name="JSON NaN", answer=400, said="not JSON", json=b'{"resourceSpans":NaN}'),
    Row(name="JSON that is not UTF-8", answer=400, said="not JSON", json=b'{"resourceSpans":"\xff"}'),
    Row(name="half of a surrogate pair", answer=400, said="not JSON", json=b'{"a":"\\ud800"}'),
    Row(name="object for an array", answer=400, said="is not an array", json=b'{"resourceSpans":{}}'),
    Row(name="array for an object", answer=400, said="is not an object", json=b'{"resourceSpans":[[]]}'),
    Row(name="attributes as an object", answer=400, said="is not an array", json=_spans({"attributes": {"k": "v"}})),
    Row(name="time as words", answer=400, said="not an integer", json=_spans({"startTimeUnixNano": "now"})),
    Row(name="integer beyond 64 bits", answer=400, said="not an integer", json=_value({"intValue": "9" * 30})),
    Row(name="number as text", answer=400, said="is not text", json=_value({"stringValue": 1})),
    Row(
        name="text as truth",
        reason=Reason.UNREADABLE_JSON,
        answer=400,
        said="is not true or false",
        json=_value({"boolValue": "yes"}),
    ),
    Row(
        name="gzip that is cut",
        reason=Reason.BAD_COMPRESSION,
        answer=400,
        said="ends too early",
        pb=gzipped(GOOD)[:-9],
        json=gzipped(GOOD_JSON)[:-9],
        headers={"content-encoding": "gzip"},
    ),
    Row(
        name="gzip with rubbish behind",
        answer=400,
        said="cannot be read",
        pb=gzipped(GOOD) + b"rubbish",
        headers={"content-encoding": "gzip"},
    ),
    Row(
        name="gzip with a wrong checksum",
        answer=400,
        said="cannot be read",
        pb=gzipped(GOOD)[:-8] + bytes(8),
        headers={"content-encoding": "gzip"},
    ),
    Row(
        name="rubbish called gzip",
        answer=400,
        said="cannot be read",
        pb=GOOD,
        only="http",
        headers={"content-encoding": "gzip"},
    ),
    Row(
        name="gzip called deflate",
        answer=400,
        said="cannot be read",
        pb=gzipped(GOOD),
        only="http",
        headers={"content-encoding": "deflate"},
    ),
    Row(
        name="gzip of 5,000 empty parts",
        answer=400,
        said="too many parts",
        pb=lambda: gzip.compress(b"") * 5_000,
        headers={"content-encoding": "gzip"},
    ),
    Row(
        name="arrays one too deep",
        reason=Reason.NESTED_TOO_DEEP,
        answer=400,
        said="nested",
        pb=request(span(attribute("k", nested_array(NESTED_ARRAYS_MAX + 1)))),
    ),
    Row(
        name="maps one too deep",
        answer=400,
        said="nested",
        pb=request(span(attribute("k", nested_map(NESTED_MAPS_MAX + 1)))),
    ),
    Row(
        name="arrays in a resource",
        answer=400,
        said="a resource",
        pb=wire(1, wire(1, wire(1, attribute("k", nested_array(200))))),
    ),
    Row(
        name="arrays in a scope",
        answer=400,
        said="a scope",
        pb=wire(1, wire(2, wire(1, wire(3, attribute("k", nested_array(200)))))),
    ),
    Row(
        name="arrays in the metadata of a metric",
        answer=400,
        said="a metric",
        pb=request(metric(GOOD_POINT, more=wire(12, attribute("k", nested_array(200))))),
        signal="metrics",
    ),
    Row(
        name="arrays in the body of a log",
        answer=400,
        said="nested",
        pb=request(log_record(more=wire(5, nested_array(200)))),
        signal="logs",
    ),
    Row(
        name="arrays in an event",
        answer=400,
        said="nested",
        pb=request(span(more=wire(11, wire(3, attribute("k", nested_array(200)))))),
    ),
    Row(
        name="arrays in a data point",
        answer=400,
        said="nested",
        pb=request(metric(wire(7, attribute("k", nested_array(200))))),
        signal="metrics",
    ),
    Row(
        name="arrays 300,000 deep",
        answer=400,
        said="nested",
        pb=lambda: request(span(attribute("k", nested_array(300_000)))),
    ),
    Row(
        name="20 MiB of arrays inside one another",
        answer=400,
        said="",
        pb=lambda: request(span(attribute("k", nested_array(2_100_000)))),
        growth_mib=128,
    ),
    Row(
        name="JSON arrays one too deep",
        reason=Reason.NESTED_TOO_DEEP,
        answer=400,
        said="nested",
        json=_nested_json(NESTED_ARRAYS_MAX + 1),
    ),
    Row(name="JSON objects 1,500 deep", answer=400, said="not JSON", json=b'{"a":' * 1_500 + b"1" + b"}" * 1_500),
    Row(
        name="JSON arrays 100,000 deep",
        answer=400,
        said="not JSON",
        json=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ),
)

SIZE_ROWS = (
    Row(
        name="a body too large by one byte",
        reason=Reason.BODY_TOO_LARGE,
        answer=413,
        said="larger",
        pb=lambda: _of_size(LIMITS.max_request_bytes + 1),
        json=lambda: b" " * (LIMITS.max_request_bytes - 1) + b"{}",
        growth_mib=128,
    ),
    Row(
        name="a gzip bomb of a GiB",
        reason=Reason.INFLATED_TOO_MUCH,
        answer=413,
        said="",
        pb=lambda: bomb(1024 * MIB),
        json=lambda: bomb(1024 * MIB),
        headers={"content-encoding": "gzip"},
        growth_mib=128,
    ),
    Row(
        name="too large when decompressed",
        reason=Reason.INFLATED_TOO_LARGE,
        answer=413,
        said="decompressed",
        pb=lambda: gzipped(sparse(LIMITS.max_inflated_bytes + 1)),
        headers={"content-encoding": "gzip"},
        growth_mib=160,
    ),
    Row(
        name="10 million empty resource groups",
        answer=413,
        said="more than 50000",
        pb=b"\x0a\x00" * TEN_MILLION,
        growth_mib=128,
    ),
    Row(
        name="10 million empty scope groups",
        answer=413,
        said="more than 50000",
        pb=lambda: wire(1, b"\x12\x00" * TEN_MILLION),
        growth_mib=128,
    ),
    Row(
        name="10 million empty spans",
        answer=413,
        said="more than 50000",
        pb=lambda: wire(1, wire(2, b"\x12\x00" * TEN_MILLION)),
        growth_mib=128,
    ),
    Row(
        name="10 million empty data points",
        answer=413,
        said="more than 50000",
        pb=lambda: request(wire(7, b"\x0a\x00" * TEN_MILLION)),
        signal="metrics",
        growth_mib=256,
    ),
    Row(
        name="10 million empty attributes",
        reason=Reason.TOO_MANY_FIELDS,
        answer=413,
        said="fields",
        pb=lambda: request(b"\x4a\x00" * TEN_MILLION),
        growth_mib=128,
    ),
    Row(
        name="10 million empty events",
        answer=413,
        said="fields",
        pb=lambda: request(b"\x5a\x00" * TEN_MILLION),
        growth_mib=128,
    ),
    Row(
        name="10 million values in an array",
        answer=413,
        said="",
        pb=lambda: request(span(attribute("k", wire(5, b"\x0a\x00" * TEN_MILLION)))),
        growth_mib=128,
    ),
    Row(
        name="10 million resource attributes",
        answer=413,
        said="a resource",
        pb=lambda: wire(1, wire(1, b"\x0a\x00" * TEN_MILLION)),
        growth_mib=128,
    ),
    Row(
        name="7 million empty JSON objects",
        reason=Reason.TOO_MANY_JSON_VALUES,
        answer=413,
        said="values",
        json=lambda: b'{"resourceSpans":[' + b"{}," * 6_900_000 + b"{}]}",
        growth_mib=128,
    ),
    Row(
        name="20 MiB of JSON arrays inside one another",
        answer=413,
        said="values",
        json=lambda: b'{"a":' + b"[" * 20_900_000,
        growth_mib=128,
    ),
    Row(
        name="one record too many",
        reason=Reason.TOO_MANY_RECORDS,
        answer=413,
        said="more than 50000",
        pb=request(*[b""] * (LIMITS.max_records + 1)),
        json=_spans(*[{}] * (LIMITS.max_records + 1)),
    ),
    Row(
        name="one data point too many",
        answer=413,
        said="data points",
        pb=request(metric(*[b""] * (LIMITS.max_records + 1))),
        signal="metrics",
        growth_mib=96,
    ),
    Row(
        name="one attribute too many",
        reason=Reason.TOO_MANY_ATTRIBUTES,
        answer=413,
        said="attributes",
        pb=request(span(*(attribute(f"k{n}", text("v")) for n in range(LIMITS.max_attributes + 1)))),
        json=_attributes(*_many(LIMITS.max_attributes + 1)),
    ),
    Row(
        name="one event too many",
        answer=413,
        said="events",
        pb=request(span(more=wire(11, b"") * (LIMITS.max_attributes + 1))),
        json=_spans({"events": [{}] * (LIMITS.max_attributes + 1)}),
    ),
    Row(
        name="one field too many",
        reason=Reason.TOO_MANY_FIELDS,
        answer=413,
        said="fields",
        pb=request(span(attribute("k", wire(5, wire(1, b"") * (FIELDS_LEFT + 1))))),
    ),
    Row(
        name="a value too large by one byte",
        reason=Reason.VALUE_TOO_LARGE,
        answer=413,
        said=f"value of {LIMITS.max_value_bytes + 1} bytes",
        pb=lambda: request(span(attribute("k", text(bytes(LIMITS.max_value_bytes + 1))))),
        json=lambda: _value({"stringValue": "x" * (LIMITS.max_value_bytes + 1)}),
    ),
    Row(
        name="a list too large by one byte",
        reason=Reason.VALUE_TOO_LARGE,
        answer=413,
        said=f"value of {LIMITS.max_value_bytes + 1} bytes",
        pb=lambda: request(span(attribute("k", wire(5, text_in_list(LIMITS.max_value_bytes + 1))))),
    ),
    Row(
        name="a log body too large by one byte",
        reason=Reason.VALUE_TOO_LARGE,
        answer=413,
        said="value of",
        pb=lambda: request(log_record(more=wire(5, text(bytes(LIMITS.max_value_bytes + 1))))),
        json=lambda: _log_body(LIMITS.max_value_bytes + 1),
        signal="logs",
    ),
    Row(name="a huge JSON text", answer=413, said="value of", json=lambda: _value({"stringValue": "x" * (2 * MIB)})),
    Row(
        name="one bad span among good ones",
        reason=Reason.BAD_ID,
        answer=200,
        said="span 2 of the request",
        pb=request(GOOD_SPAN, span(trace_id=b"x"), GOOD_SPAN),
    ),
    Row(
        name="one bad JSON span among good ones",
        answer=200,
        said="is not hexadecimal",
        json=_spans({"traceId": "zz"}, {"name": "good"}),
    ),
    Row(
        name="headers a little too large",
        reason=Reason.HEADERS_TOO_LARGE,
        answer=431,
        said="too large",
        pb=GOOD,
        json=GOOD_JSON,
        headers={"x-filler": "x" * LIMITS.max_header_bytes},
    ),
    Row(
        name="headers of a MiB",
        answer=431,
        pb=GOOD,
        json=GOOD_JSON,
        headers={"x-filler": "x" * MIB},
        is_too_large_for_grpc=True,
    ),
    Row(name="headers of two MiB", answer=431, pb=GOOD, only="http", headers={"x-filler": "x" * (2 * MIB)}),
    Row(name="path too long", answer=431, said="too large", pb=GOOD, only="http", path="/" + "x" * 40_000),
)

HTTP_ROWS = (
    *(
        Row(
            name=f"method {method}",
            reason=Reason.METHOD_NOT_ALLOWED,
            answer=405,
            said="send POST" if method != "HEAD" else "",
            pb=b"",
            only="http",
            method=method,
        )
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD")
    ),
    *(
        Row(
            name=f"path {path}",
            reason=Reason.NO_SUCH_PATH,
            answer=404,
            said="no such path",
            pb=GOOD,
            only="http",
            path=path,
        )
        for path in ("/", "/v1/trace", "/v1/traces/", "/v1/TRACES", "/v1/profiles", "/healthz")
    ),
    *(
        Row(
            name=f"content type {kind or 'none'}",
            reason=Reason.UNSUPPORTED_CONTENT_TYPE,
            answer=415,
            said="not supported",
            pb=GOOD,
            only="http",
            headers={"content-type": kind},
        )
        for kind in (
            "",
            "text/plain",
            "application/grpc",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
        )
    ),
    *(
        Row(
            name=f"content encoding {kind}",
            reason=Reason.UNSUPPORTED_ENCODING,
            answer=415,
            said="not supported",
            pb=GOOD,
            only="http",
            headers={"content-encoding": kind},
        )
        for kind in ("br", "zstd", "snappy", "gzip, gzip")
    ),
)

SENDER_ROWS = (
    Row(
        name="no token", reason=Reason.UNAUTHENTICATED, answer=401, said="required", pb=GOOD, json=GOOD_JSON, token=None
    ),
    Row(name="wrong token", answer=401, said="not known", pb=GOOD, json=GOOD_JSON, token="Bearer wrong-" + GOOD_TOKEN),
    Row(
        name="token cut by one",
        answer=401,
        said="not known",
        pb=GOOD,
        json=GOOD_JSON,
        token=f"Bearer {GOOD_TOKEN[:-1]}",
    ),
    Row(name="empty token", answer=401, said="required", pb=GOOD, json=GOOD_JSON, token="Bearer "),
    Row(name="another scheme", answer=401, said="required", pb=GOOD, json=GOOD_JSON, token=f"Basic {GOOD_TOKEN}"),
    Row(
        name="the hash for the token",
        answer=401,
        said="not known",
        pb=GOOD,
        json=GOOD_JSON,
        token="Bearer sha256:" + "0" * 64,
    ),
    Row(name="second token of the tenant", pb=GOOD, json=GOOD_JSON, token=f"Bearer {OTHER_TOKEN}"),
    Row(name="token known by its hash", pb=GOOD, json=GOOD_JSON, token=f"Bearer {HASHED_TOKEN}"),
    Row(name="scheme in small letters", pb=GOOD, json=GOOD_JSON, token=f"bearer {GOOD_TOKEN}"),
    Row(
        name="a gzip bomb without a token",
        answer=401,
        said="required",
        pb=lambda: bomb(1024 * MIB),
        json=lambda: bomb(1024 * MIB),
        token=None,
        headers={"content-encoding": "gzip"},
        growth_mib=32,
    ),
    Row(
        name="a wrong path without a token",
        answer=401,
        said="required",
        pb=GOOD,
        only="http",
        token=None,
        path="/v1/other",
    ),
    Row(
        name="a token of 20,000 characters",
        answer=401,
        said="not known",
        pb=GOOD,
        json=GOOD_JSON,
        token="Bearer " + "x" * 20_000,
    ),
)

ROWS = (*GOOD_ROWS, *SHAPE_ROWS, *SIZE_ROWS, *HTTP_ROWS, *SENDER_ROWS)
