"""The official OTLP messages, as shapes: to tell in C whether bytes are a record, and how deep it is.

Two things differ from the official messages. Texts are bytes: exporters in languages that do not check their texts send
what is not UTF-8, many backends take it, and whoever reads such a text later finds out. And a record is put inside
groups that hold nothing else: upb takes 100 messages inside one another, so what is refused with 40 groups around it is
more than 60 deep. Both are the same bytes on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from spanledger.otlp.wire import GROUP_END, GROUP_START

PARSER_DEPTH_MAX = 100
"""Messages inside one another that upb takes."""

_FROM, _TO = "opentelemetry", "spanledger_shape"
_FILES = (common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2)
_MESSAGES = {
    "span": "trace.v1.Span",
    "log_record": "logs.v1.LogRecord",
    "resource": "resource.v1.Resource",
    "scope": "common.v1.InstrumentationScope",
    "metric": "metrics.v1.Metric",
    "gauge": "metrics.v1.NumberDataPoint",
    "sum": "metrics.v1.NumberDataPoint",
    "histogram": "metrics.v1.HistogramDataPoint",
    "exponential_histogram": "metrics.v1.ExponentialHistogramDataPoint",
    "summary": "metrics.v1.SummaryDataPoint",
}
_Field = descriptor_pb2.FieldDescriptorProto


class Shape:
    """What a kind of record looks like. `counted` are its repeated messages and `ids` its ids, with their sizes."""

    def __init__(self, padded: Descriptor, field: FieldDescriptor) -> None:
        assert field.message_type is not None  # noqa: S101 - made below
        self.descriptor: Descriptor = field.message_type
        fields: list[FieldDescriptor] = list(self.descriptor.fields)
        self.counted = tuple(f.name for f in fields if f.is_repeated and f.message_type is not None)
        self.ids = tuple((f.name, _ID_BYTES[f.name]) for f in fields if f.name in _ID_BYTES)
        self._padded: Any = message_factory.GetMessageClass(padded)
        self._field = field

    def parser(self, depth_max: int) -> Callable[[bytes], Any]:
        """A function that reads a record; it raises DecodeError for what is none, or deeper than so many messages."""
        around = PARSER_DEPTH_MAX - depth_max - 1
        opening = bytes([_group_start(_PADDING)] * around + [_group_start(self._field.number)])
        closing = bytes([_group_end(self._field.number)] + [_group_end(_PADDING)] * around)
        parse: Callable[[bytes], Any] = self._padded.FromString
        inside = attrgetter(".".join(["padding"] * around + [self._field.name]))
        return lambda record: inside(parse(opening + record + closing))


_PADDING = 1
_ID_BYTES = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}


def _group_start(number: int) -> int:
    return number << 3 | GROUP_START


def _group_end(number: int) -> int:
    return number << 3 | GROUP_END


def _load() -> dict[str, Shape]:
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        pool.AddSerializedFile(_with_bytes_for_texts(module.DESCRIPTOR).SerializeToString())
    file = descriptor_pb2.FileDescriptorProto(name=f"{_TO}/padded.proto", package=_TO, syntax="proto2")
    file.dependency.extend(f"{_TO}/{module.DESCRIPTOR.name}" for module in _FILES)
    message = file.message_type.add(name="Padded")
    message.field.append(_group("padding", _PADDING, f".{_TO}.Padded"))
    for number, (kind, name) in enumerate(_MESSAGES.items(), start=_PADDING + 1):
        message.field.append(_group(kind, number, f".{_TO}.proto.{name}"))
    pool.AddSerializedFile(file.SerializeToString())
    padded = pool.FindMessageTypeByName(f"{_TO}.Padded")
    return {kind: Shape(padded, padded.fields_by_name[kind]) for kind in _MESSAGES}


def _group(name: str, number: int, type_name: str) -> descriptor_pb2.FieldDescriptorProto:
    return _Field(name=name, number=number, type=_Field.TYPE_GROUP, label=_Field.LABEL_OPTIONAL, type_name=type_name)


def _with_bytes_for_texts(official: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    """A file of messages under another name, with bytes for texts."""
    file = descriptor_pb2.FileDescriptorProto()
    official.CopyToProto(file)
    file.name, file.package = f"{_TO}/{file.name}", file.package.replace(_FROM, _TO, 1)
    file.dependency[:] = [f"{_TO}/{name}" for name in file.dependency]
    messages = list(file.message_type)
    while messages:
        message = messages.pop()
        messages.extend(message.nested_type)
        for field in message.field:
            if field.HasField("type_name"):
                field.type_name = field.type_name.replace(_FROM, _TO, 1)
            if field.type == _Field.TYPE_STRING:
                field.type = _Field.TYPE_BYTES
    return file


SHAPES = _load()
"""Shapes by kind: `span`, `log_record`, `resource`, `scope`, `metric`, and each kind of data point."""
