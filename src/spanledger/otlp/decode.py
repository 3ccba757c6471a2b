"""Decoding: the candidates of a request, chosen by structure, everything else left as bytes.

A byte search pre-filters; whether a record is a model call is decided by its span name or event name alone, so that
quoted text cannot forge a cost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags

from spanledger.core.batch import Attributes, Batch, LogData, PointData, Scalar, SpanData
from spanledger.core.errors import ConfigError, PermanentError
from spanledger.core.reasons import Reason
from spanledger.core.semconv import (
    BODY_API_REQUEST,
    EVENT_API_REQUEST,
    READ_METRICS,
    SPAN_INTERACTION,
    SPAN_LLM_REQUEST,
    TOKEN_COUNTS,
    In,
)
from spanledger.core.times import told_time
from spanledger.core.usage import Problem, Signal, Temporality
from spanledger.otlp.frame import Group, metric_parts, read_frame
from spanledger.otlp.views import LogRecordView, MetricNameView, MetricView, ResourceView, SpanNameView, SpanView

_LLM_REQUEST = SPAN_LLM_REQUEST.encode()
_INTERACTION = SPAN_INTERACTION.encode()
_WAITING_SPANS = (_LLM_REQUEST, _INTERACTION)
_API_REQUEST = EVENT_API_REQUEST.encode()
_TEMPORALITIES = {1: Temporality.DELTA, 2: Temporality.CUMULATIVE}

_STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
_DOUBLE_SIZE = 9
_VARINT_CONTINUES = 0x80


def require_fast_protobuf() -> None:
    """Refuse to run on protobuf's pure-Python backend: it is 50 times slower and reads some bytes otherwise.

    Raises:
        ConfigError: the backend is not upb.
    """
    backend = api_implementation.Type()
    if backend != "upb":
        raise ConfigError(
            [f"protobuf runs on its {backend!r} backend; install a wheel of protobuf with upb for this platform"]
        )


def decode(signal: Signal, body: bytes) -> Batch:
    """Read the candidates of a protobuf request body.

    A record that cannot be read inside a sound frame becomes a problem and spoils nothing else.

    Raises:
        PermanentError: the body is not a request of this signal; says where it stops making sense.
    """
    return decode_groups(signal, read_frame(signal, body))


def decode_groups(signal: Signal, groups: Sequence[Group]) -> Batch:
    """Read the candidates of a request whose frame was read already; see `decode`."""
    match signal:
        case Signal.TRACES:
            return _traces(groups)
        case Signal.LOGS:
            return _logs(groups)
        case Signal.METRICS:
            return _metrics(groups)


def _traces(groups: Sequence[Group]) -> Batch:
    found: dict[bytes, list[tuple[int, SpanData]]] = {name: [] for name in _WAITING_SPANS}
    problems: list[Problem] = []
    waits, count = False, 0
    for place, resource, item in _items(Signal.TRACES, groups, _WAITING_SPANS):
        count = place + 1
        name = b"" if item is None else _span_name(item)
        if item is None or name not in found:
            continue
        waits = True
        try:
            found[name].append((place, _span(resource, SpanView.FromString(item))))
        except (DecodeError, UnicodeDecodeError, struct.error) as error:
            if name == _LLM_REQUEST:  # a turn that cannot be read goes on without its sum
                problems.append(Problem(Reason.UNREADABLE_SPAN, f"span {place + 1} of the request: {error}"))
    calls, turns = found[_LLM_REQUEST], found[_INTERACTION]
    return Batch(
        Signal.TRACES,
        count,
        tuple(place for place, _ in calls),
        spans=tuple(span for _, span in calls),
        turns=tuple(span for _, span in turns),
        turn_places=tuple(place for place, _ in turns),
        problems=tuple(problems),
        waits_for_join=waits,
    )


def _logs(groups: Sequence[Group]) -> Batch:
    logs: list[LogData] = []
    places: list[int] = []
    problems: list[Problem] = []
    count = 0
    for place, resource, item in _items(Signal.LOGS, groups, (_API_REQUEST,)):
        count = place + 1
        if item is None:
            continue
        try:
            log = _log(resource, LogRecordView.FromString(item))
        except (DecodeError, UnicodeDecodeError, struct.error) as error:
            problems.append(Problem(Reason.UNREADABLE_LOG_RECORD, f"log record {place + 1} of the request: {error}"))
            continue
        if log is not None:
            logs.append(log)
            places.append(place)
    return Batch(Signal.LOGS, count, tuple(places), logs=tuple(logs), problems=tuple(problems))


def _items(
    signal: Signal, groups: Sequence[Group], needles: tuple[bytes, ...]
) -> Iterator[tuple[int, Attributes, bytes | None]]:
    """Place, resource and bytes of every record; None for the bytes of one that holds no needle."""
    place = 0
    for group in groups:
        resource: Attributes | None = None
        for item in group.records:
            if any(needle in item for needle in needles):
                if resource is None:
                    resource = _resource(signal, group.resource)
                yield place, resource, item
            else:
                yield place, {}, None
            place += 1


def _resource(signal: Signal, body: bytes) -> Attributes:
    try:
        return _scalars(ResourceView.FromString(body).attributes)
    except (DecodeError, UnicodeDecodeError, struct.error) as error:
        raise PermanentError(f"a resource in the {signal} request cannot be read: {error}") from None


def _span_name(item: bytes) -> bytes:
    """Name of a span; a span that cannot be read keeps the name that a byte search found, to be reported."""
    try:
        return bytes(SpanNameView.FromString(item).name)
    except DecodeError:
        return _LLM_REQUEST if _LLM_REQUEST in item else b""


def _span(resource: Attributes, span: Any) -> SpanData:  # noqa: ANN401 - generated message class
    return SpanData(
        resource=resource,
        attributes=_scalars(span.attributes),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        start_unix_nano=told_time(span.start_time_unix_nano),
        end_unix_nano=told_time(span.end_time_unix_nano),
    )


def _log(resource: Attributes, log: Any) -> LogData | None:  # noqa: ANN401 - generated message class
    """An `api_request` event: its `event.name` says so, and its body, where it has one, too."""
    if _scalar(log.attributes.get(In.EVENT_NAME, b"")) != EVENT_API_REQUEST:
        return None
    if log.body and _scalar(log.body) != BODY_API_REQUEST:
        return None
    return LogData(
        resource=resource,
        attributes=_scalars(log.attributes),
        trace_id=log.trace_id.hex(),
        span_id=log.span_id.hex(),
        time_unix_nano=told_time(log.time_unix_nano) or told_time(log.observed_time_unix_nano),
    )


def _scalars(attributes: Mapping[str, bytes]) -> dict[str, Scalar]:
    """Attributes with a scalar value; arrays, maps, bytes and unset values are left out.

    A token count among these is kept as empty text: metering refuses the record, for no count is not a count of 0.
    """
    scalars = {key: scalar for key, value in attributes.items() if (scalar := _scalar(value)) is not None}
    if len(scalars) != len(attributes):
        scalars.update((key, "") for key in TOKEN_COUNTS if key in attributes and key not in scalars)
    return scalars


def _scalar(value: bytes) -> Scalar | None:
    """Read an AnyValue of the shape that every encoder writes; any other shape goes through the official message."""
    if not value:
        return None
    kind, size = value[0], len(value)
    if kind == _STRING and size > 1 and value[1] == size - 2 and size - 2 < _VARINT_CONTINUES:
        return _text(value[2:].decode())
    if kind == _INT and size > 1 and value[-1] < _VARINT_CONTINUES and all(b >= _VARINT_CONTINUES for b in value[1:-1]):
        return _signed_varint(value[1:])
    if kind == _DOUBLE and size == _DOUBLE_SIZE:
        return float(struct.unpack("<d", value[1:])[0])
    if kind == _BOOL and size == 2:
        return value[1] != 0
    return _any_value(AnyValue.FromString(value))


def _text(text: str) -> str:
    """A text as the ledger can look it up: SQLite's JSON ends a text at NUL, and two names would be one."""
    return text.replace("\0", "\ufffd")


def _signed_varint(encoded: bytes) -> int:
    number = 0
    for place, byte in enumerate(encoded):
        number |= (byte & 0x7F) << (7 * place)
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number


def _any_value(value: AnyValue) -> Scalar | None:
    match value.WhichOneof("value"):
        case "string_value":
            return _text(value.string_value)
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case _:
            return None


def _metrics(groups: Sequence[Group]) -> Batch:
    points: list[PointData] = []
    problems: list[Problem] = []
    count = 0
    for group in groups:
        resource: Attributes | None = None
        for metric in group.records:
            count += len(metric_parts(metric).points)
            name = _metric_name(metric)
            if name not in READ_METRICS:
                continue
            if resource is None:
                resource = _resource(Signal.METRICS, group.resource)
            try:
                _sort_points(_points(name, MetricView.FromString(metric), resource), points, problems)
            except (DecodeError, UnicodeDecodeError, struct.error) as error:
                problems.append(Problem(Reason.BAD_POINT, f"{name}: {error}"))
    return Batch(Signal.METRICS, count, points=tuple(points), problems=tuple(problems))


def _metric_name(metric: bytes) -> str:
    """Name of a metric; empty when it cannot be read, and then it is none of the client's."""
    try:
        return str(MetricNameView.FromString(metric).name, "utf-8")
    except (DecodeError, UnicodeDecodeError):
        return ""


def _points(name: str, metric: Any, resource: Attributes) -> Iterator[PointData | Problem]:  # noqa: ANN401 - generated message class
    if not metric.HasField("sum"):
        return
    temporality = _TEMPORALITIES.get(metric.sum.aggregation_temporality)
    for point in metric.sum.data_points:
        value = _point_value(point)
        if point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
            continue  # says itself that it holds nothing
        if temporality is None or value is None:
            yield Problem(
                Reason.BAD_POINT, f"{name}: a data point without {'value' if value is None else 'temporality'}"
            )
            continue
        yield PointData(
            metric=name,
            resource=resource,
            attributes=_scalars(point.attributes),
            start_unix_nano=told_time(point.start_time_unix_nano),
            time_unix_nano=told_time(point.time_unix_nano),
            temporality=temporality,
            value=value,
        )


def _sort_points(found: Iterable[PointData | Problem], points: list[PointData], problems: list[Problem]) -> None:
    for item in found:
        match item:
            case PointData():
                points.append(item)
            case Problem():
                problems.append(item)


def _point_value(point: Any) -> float | int | None:  # noqa: ANN401 - generated message class
    match point.WhichOneof("value"):
        case "as_double":
            return float(point.as_double)
        case "as_int":
            return int(point.as_int)
        case _:
            return None
