"""Enrichment on the wire: attributes are appended to records as bytes, everything else stays byte for byte.

Only the lengths of the record and of the frames around it change. An attribute that is there already is taken out
first: replaced, never doubled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spanledger.core.batch import Scalar
from spanledger.core.errors import PermanentError
from spanledger.core.usage import Signal
from spanledger.otlp.views import FRAME_GROUPS, FRAME_ITEMS, FRAME_SCOPES

_ATTRIBUTES_FIELD = {Signal.TRACES: 9, Signal.LOGS: 6}
_BYTES, _END_GROUP = 2, 4
"""Wire types: length-delimited, end of a group."""
_VARINT_BYTES_MAX = 10
_KEY_FIELD = 1


def enrich(signal: Signal, body: bytes, additions: Mapping[int, Mapping[str, Scalar]]) -> bytes:
    """Write attributes on records of a request body.

    `additions` holds attributes by the place of the record in the request (`Batch.places`). Records without an entry,
    and all else, keep their bytes; without additions the body itself is returned.

    Raises:
        PermanentError: the body is not sound protobuf; `decode` would have refused it.
    """
    wanted = {place: attributes for place, attributes in additions.items() if attributes}
    if not wanted:
        return body
    editor = _Editor(_ATTRIBUTES_FIELD[signal], wanted)
    return editor.rewrite(body, (FRAME_GROUPS, FRAME_SCOPES, FRAME_ITEMS))


class _Editor:
    """Walks down the frames, counting records, and rewrites those that have additions."""

    def __init__(self, attributes_field: int, additions: Mapping[int, Mapping[str, Scalar]]) -> None:
        self._attributes_field = attributes_field
        self._additions = additions
        self._place = 0

    def rewrite(self, message: bytes, path: tuple[int, ...]) -> bytes:
        """Rewrite the records below `path`, the field numbers from here down to a record."""
        if not path:
            additions = self._additions.get(self._place)
            self._place += 1
            return message if additions is None else self._record(message, additions)
        chunks: list[bytes] = []
        done = 0
        for field in _fields(message):
            if field.number != path[0] or field.wire_type != _BYTES:
                continue
            inner = message[field.value_start : field.end]
            outer = self.rewrite(inner, path[1:])
            if outer is not inner:
                chunks += (message[done : field.length_start], _varint(len(outer)), outer)
                done = field.end
        if not chunks:
            return message
        return b"".join((*chunks, message[done:]))

    def _record(self, record: bytes, additions: Mapping[str, Scalar]) -> bytes:
        if any(key.encode() in record for key in additions):
            record = self._without(record, additions)
        tag = _varint(self._attributes_field << 3 | _BYTES)
        appended = [tag + _sized(_key_value(key, value)) for key, value in additions.items()]
        return b"".join((record, *appended))

    def _without(self, record: bytes, additions: Mapping[str, Scalar]) -> bytes:
        """A record without the attributes that are about to be written."""
        chunks: list[bytes] = []
        done = 0
        for field in _fields(record):
            if field.number != self._attributes_field or field.wire_type != _BYTES:
                continue
            if _key(record[field.value_start : field.end]) in additions:
                chunks.append(record[done : field.start])
                done = field.end
        return b"".join((*chunks, record[done:]))


@dataclass(frozen=True, slots=True)
class _WireField:
    """A field on the wire: `start` of its tag, `length_start` of what follows it, value from `value_start` to `end`."""

    number: int
    wire_type: int
    start: int
    length_start: int
    value_start: int
    end: int


def _fields(message: bytes) -> Iterator[_WireField]:
    position, size = 0, len(message)
    while position < size:
        start = position
        tag, after_tag = _read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value_start, position = _value_bounds(message, number, wire_type, after_tag)
        if position > size:
            raise PermanentError(f"field {number} runs past the end of its message")
        yield _WireField(number, wire_type, start, after_tag, value_start, position)


def _value_bounds(message: bytes, number: int, wire_type: int, after_tag: int) -> tuple[int, int]:
    match wire_type:
        case 0:
            return after_tag, _read_varint(message, after_tag)[1]
        case 1:
            return after_tag, after_tag + 8
        case 2:
            length, value_start = _read_varint(message, after_tag)
            return value_start, value_start + length
        case 3:
            return after_tag, _group_end(message, number, after_tag)
        case 5:
            return after_tag, after_tag + 4
        case _:
            raise PermanentError(f"field {number} has wire type {wire_type}, which does not exist here")


def _group_end(message: bytes, number: int, position: int) -> int:
    """Where a group (an outdated encoding that unknown fields may have) ends."""
    while True:
        tag, after_tag = _read_varint(message, position)
        if tag & 7 == _END_GROUP:
            if tag >> 3 != number:
                raise PermanentError(f"group {number} is closed as group {tag >> 3}")
            return after_tag
        position = _value_bounds(message, tag >> 3, tag & 7, after_tag)[1]


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    for place in range(position, min(position + _VARINT_BYTES_MAX, len(message))):
        byte = message[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise PermanentError(f"a number at byte {position} does not end")


def _key(key_value: bytes) -> str:
    """Key of a KeyValue; the last one, should there be several."""
    key = b""
    for field in _fields(key_value):
        if field.number == _KEY_FIELD and field.wire_type == _BYTES:
            key = key_value[field.value_start : field.end]
    return key.decode(errors="replace")


def _key_value(key: str, value: Scalar) -> bytes:
    return b"\x0a" + _sized(key.encode()) + b"\x12" + _sized(_any_value(value))


def _any_value(value: Scalar) -> bytes:
    match value:
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return b"\x0a" + _sized(value.encode())
        case int():
            return b"\x18" + _varint(value & (2**64 - 1))
        case float():
            return b"\x21" + struct.pack("<d", value)


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
