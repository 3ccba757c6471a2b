"""Private views of OTLP messages, in which all that is not needed stays opaque bytes.

Attributes are declared as `map<string, bytes>`: the same bytes on the wire as `repeated KeyValue`, looked up in C. A
key that comes twice has its last value. The layout is opentelemetry-proto 1.x; a field number never changes its
meaning.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "spanledger.view"


def _field(
    name: str, number: int, kind: _Field.Type.ValueType, *, repeated: bool = False, of: str = ""
) -> descriptor_pb2.FieldDescriptorProto:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    type_name = f".{_PACKAGE}.{of}" if of else None
    return _Field(name=name, number=number, type=kind, label=label, type_name=type_name)


def _attributes(message: descriptor_pb2.DescriptorProto, number: int) -> None:
    entry = message.nested_type.add(name="AttributesEntry")
    entry.options.map_entry = True
    entry.field.extend([_field("key", 1, _Field.TYPE_STRING), _field("value", 2, _Field.TYPE_BYTES)])
    of = f"{message.name}.AttributesEntry"
    message.field.append(_field("attributes", number, _Field.TYPE_MESSAGE, repeated=True, of=of))


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="spanledger/view.proto", package=_PACKAGE, syntax="proto3")
    _attributes(file.message_type.add(name="Resource"), 1)
    name = file.message_type.add(name="SpanName")
    name.field.append(_field("name", 5, _Field.TYPE_BYTES))
    span = file.message_type.add(name="Span")
    for label, number in (("trace_id", 1), ("span_id", 2), ("parent_span_id", 4), ("name", 5)):
        span.field.append(_field(label, number, _Field.TYPE_BYTES))
    span.field.append(_field("start_time_unix_nano", 7, _Field.TYPE_FIXED64))
    span.field.append(_field("end_time_unix_nano", 8, _Field.TYPE_FIXED64))
    _attributes(span, 9)
    log = file.message_type.add(name="LogRecord")
    for label, number in (("body", 5), ("trace_id", 9), ("span_id", 10)):
        log.field.append(_field(label, number, _Field.TYPE_BYTES))
    log.field.append(_field("time_unix_nano", 1, _Field.TYPE_FIXED64))
    log.field.append(_field("observed_time_unix_nano", 11, _Field.TYPE_FIXED64))
    _attributes(log, 6)
    _metric(file)
    return file


def _metric(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Metrics as far as sums of numbers go; exemplars and other kinds stay bytes."""
    name = file.message_type.add(name="MetricName")
    name.field.append(_field("name", 1, _Field.TYPE_BYTES))
    metric = file.message_type.add(name="Metric")
    metric.field.append(_field("sum", 7, _Field.TYPE_MESSAGE, of="Sum"))
    total = file.message_type.add(name="Sum")
    total.field.append(_field("data_points", 1, _Field.TYPE_MESSAGE, repeated=True, of="Point"))
    total.field.append(_field("aggregation_temporality", 2, _Field.TYPE_INT32))
    point = file.message_type.add(name="Point")
    point.field.append(_field("start_time_unix_nano", 2, _Field.TYPE_FIXED64))
    point.field.append(_field("time_unix_nano", 3, _Field.TYPE_FIXED64))
    point.field.append(_field("flags", 8, _Field.TYPE_UINT32))
    point.oneof_decl.add(name="value")
    for label, number, kind in (("as_double", 4, _Field.TYPE_DOUBLE), ("as_int", 6, _Field.TYPE_SFIXED64)):
        value = _field(label, number, kind)
        value.oneof_index = 0
        point.field.append(value)
    _attributes(point, 7)


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    names = ("Resource", "SpanName", "Span", "LogRecord", "MetricName", "Metric")
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names}


_CLASSES = _classes()
ResourceView: Any = _CLASSES["Resource"]
SpanNameView: Any = _CLASSES["SpanName"]
SpanView: Any = _CLASSES["Span"]
LogRecordView: Any = _CLASSES["LogRecord"]
MetricNameView: Any = _CLASSES["MetricName"]
MetricView: Any = _CLASSES["Metric"]
