"""The frame of an export request: resource groups, scope groups, and in them records as bytes.

The three signals have the same frame. It is read without a parser, for a parser makes an object of every empty message
of a hostile request before anybody can count them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spanledger.core.errors import PermanentError
from spanledger.core.reasons import Reason
from spanledger.core.usage import Signal
from spanledger.otlp.wire import LENGTH_DELIMITED, walk

GROUPS, SCOPES, RECORDS = 1, 2, 2
"""Field numbers from a request down to its records: resource groups, scope groups, records."""

POINTS_OF = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponential_histogram", 11: "summary"}
"""Fields of a metric that hold data points, by number."""

POINTS = 1
_RESOURCE, _SCOPE = 1, 1
_FRAME_FIELDS = frozenset({1, 2, 3})
"""Fields of a frame that are messages or texts: resource or scope, what is inside, schema URL."""


@dataclass(frozen=True, slots=True)
class Group:
    """Records of one resource, in order: spans, log records or metrics. `scopes` are instrumentation scopes."""

    resource: bytes
    scopes: tuple[bytes, ...]
    records: tuple[bytes, ...]


def read_frame(signal: Signal, body: bytes, max_parts: int | None = None) -> tuple[Group, ...]:
    """Read the frame of a request body.

    `max_parts` bounds the records, and apart from them the groups around them.

    Raises:
        PermanentError: the body is not a request in protobuf, or has too many parts.
    """
    try:
        return tuple(_Reader(body, max_parts).groups())
    except PermanentError as error:
        if error.reason is not Reason.UNREADABLE_BODY:
            raise
        raise PermanentError(f"the body is not a protobuf export request for {signal}: {error}") from None


class _Reader:
    def __init__(self, body: bytes, max_parts: int | None) -> None:
        self._body = body
        self._max_parts = max_parts
        self._frames_left = self._records_left = len(body) if max_parts is None else max_parts

    def groups(self) -> Iterator[Group]:
        body = self._body
        for number, start, end in self._parts(0, len(body)):
            if number == GROUPS:
                self._count_frame()
                yield self._group(start, end)

    def _group(self, start: int, end: int) -> Group:
        body = self._body
        resources: list[bytes] = []
        scopes: list[bytes] = []
        records: list[bytes] = []
        for number, part_start, part_end in self._parts(start, end):
            if number == _RESOURCE:
                resources.append(body[part_start:part_end])
            elif number == SCOPES:
                self._count_frame()
                self._scope(part_start, part_end, scopes, records)
        # A message that comes twice is merged, by protobuf's rule: as if its bytes stood one behind the other.
        return Group(b"".join(resources), tuple(scopes), tuple(records))

    def _scope(self, start: int, end: int, scopes: list[bytes], records: list[bytes]) -> None:
        """Read a scope group; written out, for it runs once for every record."""
        body, most = self._body, len(records) + self._records_left
        for number, wire_type, place, _, value_start, value_end in walk(body, start, end):
            if number == RECORDS and wire_type == LENGTH_DELIMITED:
                records.append(body[value_start:value_end])
                if len(records) > most:
                    raise self._too_many()
            elif number in _FRAME_FIELDS:
                _require_message(number, wire_type, place)
                if number == _SCOPE:
                    scopes.append(body[value_start:value_end])
        self._records_left = most - len(records)

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of the messages and texts of a frame; what later versions add to it is left alone."""
        for number, wire_type, place, _, value_start, value_end in walk(self._body, start, end):
            if number in _FRAME_FIELDS:
                _require_message(number, wire_type, place)
                yield number, value_start, value_end

    def _count_frame(self) -> None:
        self._frames_left -= 1
        if self._frames_left < 0:
            raise self._too_many()

    def _too_many(self) -> PermanentError:
        what = f"more than {self._max_parts} records, or groups of them, in one request"
        return PermanentError(what, Reason.TOO_MANY_RECORDS)


def _require_message(number: int, wire_type: int, place: int) -> None:
    if wire_type != LENGTH_DELIMITED:
        raise PermanentError(f"field {number} at byte {place} has wire type {wire_type}, not {LENGTH_DELIMITED}")


@dataclass(frozen=True, slots=True)
class MetricParts:
    """A metric apart: its data points, each with the number of the field of its kind (`POINTS_OF`), and the rest."""

    points: tuple[tuple[int, bytes], ...]
    rest: bytes


def metric_parts(metric: bytes, max_points: int | None = None) -> MetricParts:
    """Take a metric apart.

    Raises:
        PermanentError: the metric is not one, or has too many data points.
    """
    points: list[tuple[int, bytes]] = []
    rest: list[bytes] = []
    for number, wire_type, place, _, start, end in walk(metric):
        if number not in POINTS_OF:
            rest.append(metric[place:end])
            continue
        _require_message(number, wire_type, place)
        for inner, inner_type, _, _, point_start, point_end in walk(metric, start, end):
            if inner == POINTS and inner_type == LENGTH_DELIMITED:
                points.append((number, metric[point_start:point_end]))
                if max_points is not None and len(points) > max_points:
                    raise PermanentError(f"more than {max_points} data points", Reason.TOO_MANY_RECORDS)
    return MetricParts(tuple(points), b"".join(rest))
