"""OTLP/JSON to protobuf, by the OTLP specification: hex ids, 64-bit integers as numbers or text, enums as numbers.

protobuf's own JSON reader takes ids for base64; so this one walks the official descriptors itself. Unknown fields are
ignored, `null` is absent, and a value that is an object where a scalar belongs (`{"doubleValue": {}}`, sent by a real
client) is no value.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanledger.core.errors import PermanentError
from spanledger.core.limits import DEFAULT_LIMITS, ContentLimits
from spanledger.core.reasons import Reason
from spanledger.core.usage import Problem, Signal

_REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}
_HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_RECORD_FIELDS = frozenset({"spans", "log_records", "metrics"})
"""Repeated fields whose elements are records: a bad one is refused alone."""

_DEPTH_MAX = 100
"""Messages inside one another that a reader of protobuf takes; `otlp/screen.py` looks at each record more closely."""

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_VALUE_MARKS = (b"{", b"[", b",")
"""One of these begins, or follows, every value but the first of a JSON text."""

_INTEGER_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64),
}
_DOUBLE_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class _BadValueError(Exception):
    """A value that cannot be what its field is; `path` is completed on the way up."""

    def __init__(self, message: str) -> None:
        self.path: list[str] = []
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return f"{''.join(reversed(self.path)).removeprefix('.')}: {self.message}"


class _NoValueError(Exception):
    """An object where a scalar belongs: the field has no value."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A request in protobuf, and the records that were refused alone."""

    body: bytes
    problems: tuple[Problem, ...]


def to_protobuf(signal: Signal, body: bytes, limits: ContentLimits = DEFAULT_LIMITS) -> Converted:
    """Convert an OTLP/JSON request body. A span, log record or metric that cannot be read is refused alone.

    Raises:
        PermanentError: the body is not a JSON object or its frame cannot be read, names the place; or it holds more
            values than the limits.
    """
    if not body.strip():
        return Converted(b"", ())
    _require_few_values(body, limits.max_json_values)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PermanentError(f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise PermanentError(f"the body is not a JSON object but {_kind(content)}")
    request = _REQUESTS[signal]()
    reader = _Reader()
    try:
        reader.fill(request, content, 0)
    except _BadValueError as error:
        raise PermanentError(str(error)) from None
    return Converted(request.SerializeToString(), tuple(reader.problems))


def _require_few_values(body: bytes, max_values: int) -> None:
    """Refuse a body whose objects, arrays and elements are too many, before a parser makes something of each."""
    if len(body) <= max_values or _marks(body) <= max_values:
        return
    if _marks(_TEXT.sub(b"", body)) > max_values:  # what stands inside texts is no value
        raise PermanentError(f"the body has more than {max_values} values", Reason.TOO_MANY_JSON_VALUES)


def _marks(body: bytes) -> int:
    return sum(body.count(mark) for mark in _VALUE_MARKS)


class _Reader:
    """Fills messages from JSON objects and keeps what was refused."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._fields: dict[str, dict[str, FieldDescriptor]] = {}

    def fill(self, message: Message, content: dict[str, Any], depth: int) -> None:
        """Set the fields of a message that an object names."""
        if depth > _DEPTH_MAX:
            raise _BadValueError(f"nested deeper than {_DEPTH_MAX} levels")
        fields = self._fields_of(message)
        for name, value in content.items():
            field = fields.get(name)
            if field is None or value is None:
                continue
            try:
                self._set(message, field, value, depth)
            except _BadValueError as error:
                error.path.append(f".{name}")
                raise
            except _NoValueError:
                continue

    def _set(self, message: Message, field: FieldDescriptor, value: Any, depth: int) -> None:  # noqa: ANN401 - parsed JSON
        if field.is_repeated:
            self._extend(message, field, value, depth)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self.fill(inner, _object(value), depth + 1)
        else:
            setattr(message, field.name, _scalar(field, value))

    def _extend(self, message: Message, field: FieldDescriptor, value: Any, depth: int) -> None:  # noqa: ANN401 - parsed JSON
        if not isinstance(value, list):
            raise _BadValueError(f"is not an array but {_kind(value)}")
        elements = getattr(message, field.name)
        for place, element in enumerate(value):
            try:
                if field.message_type is None:
                    elements.append(_scalar(field, element))
                else:
                    one = GetMessageClass(field.message_type)()
                    self.fill(one, _object(element), depth + 1)
                    elements.append(one)
            except _BadValueError as error:
                error.path.append(f"[{place}]")
                if field.name not in _RECORD_FIELDS:
                    raise
                self.problems.append(Problem(Reason.UNREADABLE_JSON, f"{field.json_name}{error}"))

    def _fields_of(self, message: Message) -> dict[str, FieldDescriptor]:
        """Fields of a message by both of their names."""
        descriptor = message.DESCRIPTOR
        known = self._fields.get(descriptor.full_name)
        if known is None:
            fields: list[FieldDescriptor] = list(descriptor.fields)  # type: ignore[arg-type] # upb's class, same face
            known = {name: field for field in fields for name in (field.name, field.json_name)}
            self._fields[descriptor.full_name] = known
        return known


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - parsed JSON
    if not isinstance(value, dict):
        raise _BadValueError(f"is not an object but {_kind(value)}")
    return value


def _scalar(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - parsed JSON
    if isinstance(value, dict) and not value:
        raise _NoValueError
    kind = field.cpp_type
    if kind in _INTEGER_BITS:
        return _integer(value, *_INTEGER_BITS[kind])
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return _enum(field, value)
    return _OTHERS[kind](field, value)


def _integer(value: Any, low: int, high: int) -> int:  # noqa: ANN401 - parsed JSON
    number = value
    if isinstance(value, str):
        try:
            number = int(value, 10) if len(value) <= len(str(-high)) else None
        except ValueError:
            number = None
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number < high:
        raise _BadValueError(f"{_shown(value)} is not an integer of this field's size")
    return number


def _enum(field: FieldDescriptor, value: Any) -> int:  # noqa: ANN401 - parsed JSON
    if isinstance(value, str) and field.enum_type is not None:
        named = field.enum_type.values_by_name.get(value)
        if named is None:
            raise _BadValueError(f"{_shown(value)} is no value of {field.enum_type.name}")
        return int(named.number)
    return _integer(value, -(2**31), 2**31)


def _double(_: FieldDescriptor, value: Any) -> float:  # noqa: ANN401 - parsed JSON
    if isinstance(value, str) and value in _DOUBLE_WORDS:
        return _DOUBLE_WORDS[value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _BadValueError(f"{_shown(value)} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _BadValueError(f"{_shown(value)} is not a number") from None


def _bool(_: FieldDescriptor, value: Any) -> bool:  # noqa: ANN401 - parsed JSON
    if not isinstance(value, bool):
        raise _BadValueError(f"{_shown(value)} is not true or false")
    return value


def _text(field: FieldDescriptor, value: Any) -> str | bytes:  # noqa: ANN401 - parsed JSON
    if not isinstance(value, str):
        raise _BadValueError(f"{_shown(value)} is not text")
    if field.type != FieldDescriptor.TYPE_BYTES:
        return value
    try:
        if field.name in _HEX_FIELDS:
            return bytes.fromhex(value)
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        encoding = "hexadecimal" if field.name in _HEX_FIELDS else "base64"
        raise _BadValueError(f"{_shown(value)} is not {encoding}") from None


_OTHERS: dict[int, Callable[[FieldDescriptor, Any], Any]] = {
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_FLOAT: _double,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_STRING: _text,
}


def _shown(value: Any) -> str:  # noqa: ANN401 - parsed JSON
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _kind(value: Any) -> str:  # noqa: ANN401 - parsed JSON
    names = {list: "an array", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
