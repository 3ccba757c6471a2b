"""Editing requests on the wire: records are replaced or taken out, everything else stays byte for byte.

Only the lengths of the messages around an edited one change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from spanledger.core.batch import Scalar
from spanledger.core.usage import Signal
from spanledger.otlp.frame import GROUPS, POINTS, POINTS_OF, RECORDS, SCOPES
from spanledger.otlp.wire import LENGTH_DELIMITED, key_of, key_value, sized, tag_of, varint, walk

Edit = Callable[[int, int, bytes], bytes | None]
"""Place of a message among those that a path leads to, number of the field around it, its bytes; gives its new bytes,
None to take it out. The same bytes mean no change."""

Path = tuple[frozenset[int], ...]

RECORD_PATH: Path = (frozenset({GROUPS}), frozenset({SCOPES}), frozenset({RECORDS}))
"""From a request down to spans, log records or metrics."""

POINT_PATH: Path = (*RECORD_PATH, frozenset(POINTS_OF), frozenset({POINTS}))
"""From a request down to data points."""

COUNTED_PATH = {Signal.TRACES: RECORD_PATH, Signal.LOGS: RECORD_PATH, Signal.METRICS: POINT_PATH}
"""Down to what a signal counts: spans, log records, data points."""


def edited(message: bytes, path: Path, edit: Edit) -> bytes:
    """A message in which an edit has been made to everything that a path leads to."""
    result = _Editor(edit).walk(message, path, 0)
    assert result is not None  # noqa: S101 - only what a path leads to is taken out
    return result


def without(signal: Signal, body: bytes, places: Set[int]) -> bytes:
    """A request body without the records at some places."""
    return edited(body, COUNTED_PATH[signal], lambda place, _, record: None if place in places else record)


def with_attributes(message: bytes, field: int, attributes: Mapping[str, Scalar]) -> bytes:
    """A message whose repeated attributes stand in `field`, with these; those of the same key are taken out first."""
    if any(key.encode() in message for key in attributes):
        message = edited(
            message, (frozenset({field}),), lambda _, __, pair: None if key_of(pair) in attributes else pair
        )
    tag = tag_of(field)
    return b"".join((message, *(tag + sized(key_value(key, value)) for key, value in attributes.items())))


class _Editor:
    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._place = 0

    def walk(self, message: bytes, path: Path, around: int) -> bytes | None:
        """Edit what is below a path, the field numbers from here down."""
        if not path:
            self._place += 1
            return self._edit(self._place - 1, around, message)
        chunks: list[bytes] = []
        done = 0
        for number, wire_type, start, length_start, value_start, end in walk(message):
            if number not in path[0] or wire_type != LENGTH_DELIMITED:
                continue
            inner = message[value_start:end]
            outer = self.walk(inner, path[1:], number if len(path) > 1 else around)
            if outer is None:
                chunks.append(message[done:start])
                done = end
            elif outer is not inner:
                chunks += (message[done:length_start], varint(len(outer)), outer)
                done = end
        if not done:
            return message
        return b"".join((*chunks, message[done:]))
