"""Screening: what a request holds against the limits, and whether every record of it is one.

A record over a limit is refused alone: it is taken out, the others go on. When none is left, or a resource or scope is
at fault, the request is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from spanledger.core.errors import PermanentError
from spanledger.core.limits import ContentLimits
from spanledger.core.reasons import Reason
from spanledger.core.usage import Problem, Signal
from spanledger.otlp.editing import without
from spanledger.otlp.frame import POINTS_OF, Group, MetricParts, metric_parts, read_frame
from spanledger.otlp.shapes import SHAPES, Shape
from spanledger.otlp.wire import LENGTH_DELIMITED, walk

_FIELD_BYTES_MIN = 2
"""A field has a tag and a value: a record of so many times `max_fields` bytes cannot have more fields than that."""

_WALKED_FIELDS_FACTOR = 20
"""Large records are walked over in Python; in one request at most so many times the fields of one record."""

_SIGNAL_KINDS = {Signal.TRACES: "span", Signal.LOGS: "log_record"}


@dataclass(frozen=True, slots=True)
class Screened:
    """A request without the records that were refused alone. `records` counts those that are left."""

    body: bytes
    groups: tuple[Group, ...]
    records: int
    problems: tuple[Problem, ...]


class Screener:
    """Holds requests against limits."""

    def __init__(self, limits: ContentLimits) -> None:
        self.limits = limits
        self._parsers = {kind: shape.parser(limits.max_nesting_depth) for kind, shape in SHAPES.items()}
        self._plain_bytes = min(limits.max_fields * _FIELD_BYTES_MIN, limits.max_value_bytes)

    def screen(self, signal: Signal, body: bytes) -> Screened:
        """Screen a request body in protobuf.

        Raises:
            PermanentError: the request is refused as a whole; says where it is at fault.
        """
        limits, walk = self.limits, _Walk(self.limits)
        groups = read_frame(signal, body, limits.max_records)
        metrics = [
            metric_parts(metric, limits.max_records)
            for group in groups
            for metric in group.records
            if signal is Signal.METRICS
        ]
        for kind, head in _heads(groups, metrics):
            if head and (fault := self._fault(kind, head, walk)) is not None:
                raise PermanentError(f"a {kind} of the request: {fault.detail}", fault.reason)
        faults: dict[int, Problem] = {}
        count = 0
        for kind, record in _records(signal, groups, metrics):
            count += 1
            if count > limits.max_records:
                raise PermanentError(f"more than {limits.max_records} data points", Reason.TOO_MANY_RECORDS)
            fault = self._fault(kind, record, walk)
            if fault is not None:
                where = f"{kind.replace('_', ' ')} {count} of the request"
                faults[count - 1] = Problem(fault.reason, f"{where}: {fault.detail}")
        if not faults:
            return Screened(body, groups, count, ())
        left = without(signal, body, faults.keys())
        return Screened(left, read_frame(signal, left), count - len(faults), tuple(faults.values()))

    def _fault(self, kind: str, record: bytes, walk: _Walk) -> Problem | None:
        """What is wrong with a record; None when it may pass."""
        shape = SHAPES[kind]
        if len(record) > self._plain_bytes and (fault := walk.fault(shape.descriptor, record)) is not None:
            return fault
        try:
            message = self._parsers[kind](record)
        except DecodeError:
            return walk.fault(shape.descriptor, record) or Problem(Reason.UNREADABLE_RECORD, "is not sound protobuf")
        limit = self.limits.max_attributes
        if len(record) > limit * _FIELD_BYTES_MIN:
            for name in shape.counted:
                if len(getattr(message, name)) > limit:
                    return Problem(Reason.TOO_MANY_ATTRIBUTES, f"has more than {limit} {name}")
        return _bad_id(shape, message) if shape.ids else None


def _heads(groups: Sequence[Group], metrics: Sequence[MetricParts]) -> Iterator[tuple[str, bytes]]:
    """Everything that belongs to several records, with its kind."""
    for group in groups:
        yield "resource", group.resource
        yield from (("scope", scope) for scope in group.scopes)
    yield from (("metric", metric.rest) for metric in metrics)


def _records(signal: Signal, groups: Sequence[Group], metrics: Sequence[MetricParts]) -> Iterator[tuple[str, bytes]]:
    """Everything that a signal counts, with its kind."""
    if signal is Signal.METRICS:
        for metric in metrics:
            yield from ((POINTS_OF[field], point) for field, point in metric.points)
        return
    kind = _SIGNAL_KINDS[signal]
    for group in groups:
        yield from ((kind, record) for record in group.records)


def _bad_id(shape: Shape, message: object) -> Problem | None:
    for name, size in shape.ids:
        found = len(getattr(message, name))
        if found not in (0, size):
            return Problem(Reason.BAD_ID, f"{name} has {found} bytes, not {size}")
    return None


class _Walk:
    """Walks over records of one request in Python, exactly and slowly: large ones, and those that a parser refused."""

    def __init__(self, limits: ContentLimits) -> None:
        self._limits = limits
        self._fields_left = limits.max_fields * _WALKED_FIELDS_FACTOR

    def fault(self, descriptor: Descriptor, record: bytes) -> Problem | None:
        """What is wrong with a record; None when nothing is found. A fault of shape is told before one of size."""
        limits, walked = self._limits, 0
        too_large: Problem | None = None
        left = [(descriptor, 0, len(record), 1)]
        try:
            while left:
                parent, start, end, depth = left.pop()
                value_bytes = 0
                for child, child_start, child_end in _children(parent, record, start, end):
                    walked += 1
                    value_bytes += child_end - child_start
                    if walked > min(limits.max_fields, self._fields_left):
                        return Problem(Reason.TOO_MANY_FIELDS, f"has, or adds up to, over {limits.max_fields} fields")
                    if child is None:
                        continue
                    if depth > limits.max_nesting_depth:
                        what = f"is nested more than {limits.max_nesting_depth} messages deep"
                        return Problem(Reason.NESTED_TOO_DEEP, what)
                    left.append((child, child_start, child_end, depth + 1))
                if parent.name == "AnyValue" and value_bytes > limits.max_value_bytes and too_large is None:
                    what = f"has a value of {value_bytes} bytes, more than {limits.max_value_bytes}"
                    too_large = Problem(Reason.VALUE_TOO_LARGE, what)
        except PermanentError as error:
            return Problem(Reason.UNREADABLE_RECORD, str(error))
        finally:
            self._fields_left -= walked
        return too_large


def _children(parent: Descriptor, record: bytes, start: int, end: int) -> Iterator[tuple[Descriptor | None, int, int]]:
    """Every field between two places of a record: what message it is, None for anything else, and its bounds."""
    messages = _messages_in(parent)
    for number, wire_type, _, _, value_start, value_end in walk(record, start, end):
        yield (messages.get(number) if wire_type == LENGTH_DELIMITED else None), value_start, value_end


@cache
def _messages_in(descriptor: Descriptor) -> dict[int, Descriptor]:
    """Fields of a message that are messages, by number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
